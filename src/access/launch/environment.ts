/** Variables that make an interpreter, a loader or a tool run or fetch something else than it was asked to. */
const DANGEROUS = new Set(
  `PATH CDPATH IFS ENV BASH_ENV SHELL SHELLOPTS BASHOPTS PS4 PROMPT_COMMAND HOME TMPDIR EDITOR VISUAL PAGER BROWSER LESSOPEN
  LESSCLOSE MANPAGER GCONV_PATH LOCPATH NLSPATH HOSTALIASES RESOLV_HOST_CONF GETCONF_DIR GLIBC_TUNABLES MALLOC_TRACE CLASSPATH
  JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS PERL5OPT PERL5LIB PERL5DB PERLLIB RUBYOPT RUBYLIB PHPRC PHP_INI_SCAN_DIR
  OPENSSL_CONF OPENSSL_MODULES OPENSSL_ENGINES SSLKEYLOGFILE SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE CURL_HOME
  WGETRC NODE_OPTIONS NODE_PATH NODE_EXTRA_CA_CERTS NODE_TLS_REJECT_UNAUTHORIZED NODE_REPL_EXTERNAL_MODULE NODE_V8_COVERAGE
  NODE_REDIRECT_WARNINGS NODE_ICU_DATA NODE_COMPILE_CACHE SSH_ASKPASS SSH_AUTH_SOCK SUDO_ASKPASS`.split(
    /\s+/,
  ),
)

const PREFIXES = [
  'LD_',
  'DYLD_',
  'BASH_FUNC_',
  'NPM_CONFIG_',
  'NPM_PACKAGE_',
  'YARN_',
  'PNPM_',
  'COREPACK_',
  'BUN_',
  'DENO_',
  'UV_',
  'PIP_',
  'PIPX_',
  'VIRTUAL_ENV',
  'CONDA_',
  'GIT_',
  'DOCKER_',
  'CONTAINER_',
  'CONTAINERS_',
  'PODMAN_',
  'BUILDAH_',
  'XDG_',
  'FLOTILLA_',
]

/** All others that begin with PYTHON change what is imported or run. */
const HARMLESS_PYTHON = new Set([
  'PYTHONUNBUFFERED',
  'PYTHONDONTWRITEBYTECODE',
  'PYTHONIOENCODING',
  'PYTHONUTF8',
  'PYTHONHASHSEED',
])

/** Where the hub keeps secrets of its own. No server is given them, and none may be told to read them. */
const HUB_SECRETS = new Set(
  `SESSION_SECRET CRYPTO_SECRET CRYPTO_SECRET_OLD ADMIN_PASSWORD JWT_SECRET SQL_DSN LOG_SQL_DSN DB_URL DATABASE_URL
  REDIS_CONN_STRING REDIS_URL REDIS_PASSWORD CLUSTER_TOKEN MCPHUB_CREDENTIAL_ENCRYPTION_KEY HUB_SECRET_KEY`.split(
    /\s+/,
  ),
)

export function isHubSecret(name: string): boolean {
  return HUB_SECRETS.has(name.toUpperCase().replace(/_FILE$/, ''))
}

/** Whether a server that came over the API may not have a variable of this name. npm reads names in any case. */
export function isDangerousVariable(name: string): boolean {
  const upper = name.toUpperCase()
  if (HARMLESS_PYTHON.has(upper)) return false
  return (
    DANGEROUS.has(upper) ||
    upper.startsWith('PYTHON') ||
    PREFIXES.some((prefix) => upper.startsWith(prefix)) ||
    isHubSecret(upper)
  )
}
