/**
 * Lines with aligned columns, two spaces between. Whatever controls a terminal is made visible: names come from other machines.
 * @param rows the first is the heading
 */
export function table(rows: readonly (readonly string[])[]): string[] {
  const clean = rows.map((row) => row.map(harmless))
  const columns = Math.max(0, ...clean.map((row) => row.length))
  const widths = Array.from({ length: columns }, (_, at) =>
    Math.max(...clean.map((row) => displayWidth(row[at] ?? ''))),
  )
  return clean.map((row) =>
    row
      .map((cell, at) => cell + ' '.repeat((widths[at] ?? 0) - displayWidth(cell)))
      .join('  ')
      .trimEnd(),
  )
}

/** Control characters as `?`: they could move the cursor or colour what follows. */
export function harmless(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, '?')
}

/** How many columns a terminal gives a text: two for East Asian wide characters and most emoji (UAX #11). */
export function displayWidth(text: string): number {
  let width = 0
  for (const character of text) {
    if (/\p{Mn}|\p{Me}|\p{Cf}/u.test(character)) continue
    width += WIDE.test(character) ? 2 : 1
  }
  return width
}

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}|[\u{20000}-\u{3fffd}]/u
