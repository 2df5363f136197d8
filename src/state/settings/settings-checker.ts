import type { SecretBox } from '../secrets/secret-box.ts'
import { type Document, openReadable } from '../secrets/secrets-in-document.ts'
import type { EmptyText } from './document.ts'
import type { FileReader, Variables } from './expand.ts'
import { type Interpreted, interpretSettings } from './interpret.ts'

/** Settings that are good to be put into force. */
export interface CheckedSettings extends Interpreted {
  /** With every secret open that can be opened. */
  readonly document: Document
}

export interface CheckerDeps {
  readonly box: SecretBox
  readonly variables: Variables
  readonly readFile?: FileReader | undefined
  /** What else must hold of settings that are to come into force. @throws HubError when it does not */
  validate?(next: CheckedSettings): Promise<void> | void
}

/** Tells whether the hub could run with a document. */
export class SettingsChecker {
  readonly #deps: CheckerDeps

  constructor(deps: CheckerDeps) {
    this.#deps = deps
  }

  /**
   * @param source how to call the text in errors
   * @throws HubError `settings.invalid` or `secret.unreadable`, with line and column
   */
  interpret(text: string, source: string, empty: EmptyText = 'no settings'): Interpreted {
    const { box, variables, readFile } = this.#deps
    return interpretSettings(text, source, variables, {
      empty,
      readFile,
      openSecret: (sealed) => box.open(sealed),
    })
  }

  /**
   * @param text as the document stands in its file, for lines and columns
   * @throws HubError as `interpret` does, and as `validate` does
   */
  async check(document: Document, source: string, text?: string): Promise<CheckedSettings> {
    const { box, validate } = this.#deps
    const interpreted = this.interpret(text ?? JSON.stringify(document, undefined, 2), source, 'refused')
    const checked = { ...interpreted, document: openReadable(document, box) }
    await validate?.(checked)
    return checked
  }
}
