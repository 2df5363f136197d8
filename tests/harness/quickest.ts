/** How long the shortest of three runs took, ms: a machine may stand still during one, and hardly does during each. */
export function quickestOfThree(work: () => void): number {
  const times = Array.from({ length: 3 }, () => {
    const started = performance.now()
    work()
    return performance.now() - started
  })
  return Math.min(...times)
}
