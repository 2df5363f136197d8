function words(text: string): ReadonlySet<string> {
  return new Set(text.split(/\s+/).filter(Boolean))
}

/** Programs that run whatever their arguments say, or hand out what the hub may read: never the server itself. */
export const NO_SERVERS = words(`
  sh ash bash csh dash elvish fish ksh mksh nu oksh rbash rc tcsh xonsh yash zsh busybox toybox pwsh powershell cmd
  ash.exe bash.exe cmd.exe powershell.exe pwsh.exe wsl wsl.exe
  env sudo su doas pkexec run0 runuser sg setpriv capsh chroot unshare nsenter bwrap firejail systemd-run machinectl
  nice ionice nohup setsid setarch stdbuf taskset time timeout unbuffer watch xargs parallel flock script expect at batch cron
  crontab start-stop-daemon daemonize tini dumb-init catchsegv ld.so ld-linux-x86-64.so.2 screen tmux eval exec source command
  awk gawk mawk nawk sed gsed ed ex vi vim nvim view emacs nano less more man perl ruby irb php lua luajit tclsh wish
  julia Rscript R octave gnuplot gdb lldb strace ltrace perf valgrind java javac jshell groovy scala kotlin go cargo rustc
  gcc g++ cc c++ clang tcc make gmake cmake ninja rake ant mvn gradle git hg svn ssh scp sftp rsync telnet nc ncat netcat
  nmap socat openssl curl wget aria2c ftp tftp find fd rg grep tar zip unzip 7z dd cat tee cp mv ln rm chmod chown mount
  umount install kill pkill killall shutdown reboot systemctl service kubectl helm aws gcloud az terraform ansible
  ansible-playbook vagrant docker-compose nerdctl ctr runc crun lxc apt apt-get dpkg yum dnf rpm apk brew snap pip pip3 pipx
  poetry conda mamba micromamba
  npm pnpm yarn corepack nvm fnm volta tsx ts-node ts-node-esm ts-node-script babel-node esno esr sucrase-node jiti vite-node
  swc-node zx shx shelljs cross-env cross-env-shell env-cmd dotenv dotenv-cli dotenvx nodemon concurrently npm-run-all run-s
  run-p execa execa-cli exec-sh onchange chokidar-cli husky lint-staged serve http-server ngrok localtunnel
  ipython ipython3 jupyter jupyter-lab jupyter-notebook notebook bpython ptpython pytest tox nox invoke fab virtualenv pex
  shiv debugpy pexpect fire pyinstaller
`)

/** Interpreters that a launcher may stand in front of: their own rules count then. */
export const INTERPRETERS = words('node nodejs python python2 python3 deno bun bunx npx uv uvx docker podman')

/** Modules of Python that `-m` turns into tools: debuggers, servers, installers, consoles. */
export const NO_MODULES = words(`
  antigravity ast asyncio base64 bdb cProfile cgi cgitb code codeop compileall ctypes curses dis distutils doctest encodings
  ensurepip filecmp fileinput ftplib getpass gzip http idlelib imaplib inspect json lib2to3 lzma mailcap mimetypes modulefinder
  multiprocessing netrc nntplib os pdb pickle pickletools pip pipes pipx platform poplib posix profile pstats pty py_compile
  pyclbr pydoc quopri runpy sched secrets shlex shutil site smtpd smtplib socketserver sqlite3 ssl subprocess symtable sysconfig
  tabnanny tarfile telnetlib test tempfile timeit tkinter token tokenize trace tracemalloc turtle turtledemo unittest urllib uu
  venv webbrowser wsgiref xml xmlrpc zipapp zipfile zipimport
  IPython ipykernel jupyter jupyter_core notebook bpython ptpython pytest _pytest tox nox invoke fabric virtualenv pex shiv
  debugpy pexpect fire setuptools pkg_resources wheel build installer poetry hatch flit pdm uv cython
`)

/** `name` as the system looks it up: without a folder, and however it is spelled. */
export function baseName(command: string): string {
  return command.replace(/^.*[\\/]/, '')
}

/** Also `python3.12`, `Bash` and `node.exe`. */
export function plainName(name: string): string {
  return baseName(name)
    .toLowerCase()
    .replace(/\.(exe|cmd|bat|com)$/, '')
    .replace(/^(python|pip|node|nodejs|pypy|ruby|perl|php|lua)[\d.]+t?$/, '$1')
}

const LOWERED = new Set([...NO_SERVERS].map((name) => name.toLowerCase()))

export function isNoServer(name: string): boolean {
  return LOWERED.has(plainName(name)) || plainName(name) === 'pypy'
}

export function isInterpreter(name: string): boolean {
  return INTERPRETERS.has(plainName(name))
}
