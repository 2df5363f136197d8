/** Closes a switch over a union: a new member of the union makes the call a type error. */
export function unreachable(value: never): never {
  throw new Error(`A case was forgotten: ${JSON.stringify(value)}`)
}
