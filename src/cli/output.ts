/** Where a command writes: data to stdout, talk and errors to stderr. */
export interface Output {
  data(text: string): void
  talk(text: string): void
}

/**
 * The output of this process. Whoever reads its data may have had enough, as `head` has: then there is nothing left to do.
 * @param exitNow ends the process at once
 */
export function processOutput(exitNow: (code: number) => void): Output {
  const { stdout, stderr } = process
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return exitNow(0)
    stderr.write(`flotilla: The output cannot be written: ${error.message}.\n`)
    exitNow(1)
  })
  // There is nobody left to be told; a hub goes on without.
  stderr.on('error', () => undefined)
  return {
    data: (text) => void stdout.write(`${text}\n`),
    talk: (text) => void stderr.write(`${text}\n`),
  }
}
