type JsonObject = Record<string, unknown>

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The request with its tool's or prompt's name prefixed, or `undefined` when it names none. */
export function withPrefix(message: unknown, prefix: string): JsonObject | undefined {
  if (!isObject(message) || !isObject(message.params)) return undefined
  const { method, params } = message
  if (method === 'tools/call' || method === 'prompts/get') {
    if (typeof params.name !== 'string') return undefined
    return { ...message, params: { ...params, name: prefix + params.name } }
  }
  if (method !== 'completion/complete' || !isObject(params.ref)) return undefined
  const { ref } = params
  if (ref.type !== 'ref/prompt' || typeof ref.name !== 'string') return undefined
  return { ...message, params: { ...params, ref: { ...ref, name: prefix + ref.name } } }
}

/** The response with the names in its list of tools or prompts stripped, or `undefined` when it lists none. */
export function withoutPrefix(message: unknown, prefix: string): JsonObject | undefined {
  if (!isObject(message) || !isObject(message.result)) return undefined
  const { result } = message
  for (const kind of ['tools', 'prompts']) {
    const items = result[kind]
    if (!Array.isArray(items)) continue
    return { ...message, result: { ...result, [kind]: items.map((item) => strip(item, prefix)) } }
  }
  return undefined
}

function strip(item: unknown, prefix: string): unknown {
  if (!isObject(item) || typeof item.name !== 'string' || !item.name.startsWith(prefix)) return item
  return { ...item, name: item.name.slice(prefix.length) }
}

export type Mapping = (message: unknown) => JsonObject | undefined

/** Maps a JSON body. Whatever is not JSON, or needs no mapping, keeps its bytes. */
export function mapJson(body: Buffer, map: Mapping): Buffer {
  const mapped = map(parse(body.toString('utf8')))
  return mapped === undefined ? body : Buffer.from(JSON.stringify(mapped))
}

/** Maps one SSE event, from its first line to its blank line. All but the data lines stay as they are. */
export function mapEvent(event: Buffer, map: Mapping): Buffer {
  const lines = event.toString('utf8').split(/\r\n|\n|\r/)
  const isData = (line: string): boolean => line.startsWith('data:')
  const data = lines.filter(isData).map((line) => line.slice('data:'.length))
  const mapped = map(parse(data.join('\n')))
  if (mapped === undefined) return event
  const at = lines.findIndex(isData)
  const kept = lines.filter((line) => !isData(line))
  return Buffer.from(kept.toSpliced(at, 0, `data: ${JSON.stringify(mapped)}`).join('\n'))
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
