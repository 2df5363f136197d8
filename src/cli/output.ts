/** Where a command writes: data to stdout, talk and errors to stderr. */
export interface Output {
  data(text: string): void
  talk(text: string): void
}

export const processOutput: Output = {
  data: (text) => process.stdout.write(`${text}\n`),
  talk: (text) => process.stderr.write(`${text}\n`),
}
