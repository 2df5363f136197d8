import { HubError } from '../../domain/errors.ts'
import type {
  ChangeReason,
  Revision,
  RevisionChange,
  RevisionSummary,
  SettingsEdit,
} from '../../domain/settings-revision.ts'
import type { Clock } from '../../kernel/clock.ts'
import {
  type Document,
  maskSecrets,
  openReadable,
  resealSecrets,
  restoreMasked,
  sealSecrets,
} from '../secrets/secrets-in-document.ts'
import { diffDocuments } from './diff.ts'
import { applyEdits } from './edit.ts'
import { changedMeanwhile } from './file-store.ts'
import type { RevisionStore } from './ports.ts'
import { type Drafting, documentOf, draftRevision } from './revision-draft.ts'
import type { CheckedSettings, SettingsChecker } from './settings-checker.ts'
import type { Base, Draft, SettingsHome } from './settings-home.ts'
import type { SettingsInForce } from './settings-in-force.ts'

export interface CurrentSettings {
  /** 0 before the first revision. */
  readonly number: number
  /** What `ifMatch` takes. */
  readonly etag: string
  /** With every secret sealed. */
  readonly document: Document
}

export interface ChangeRequest extends ChangeReason {
  /** Made one after the other; or the whole document that is to stand there. */
  readonly change: readonly SettingsEdit[] | { readonly document: Document }
  /** Refuses the change unless the settings are still those with this etag. */
  readonly ifMatch?: string | undefined
  /** Says what would happen, and does nothing. */
  readonly dryRun?: boolean
}

export interface ChangeOutcome {
  /** The revision in force after the change; of a dry run, or a change that changes nothing, the one before. */
  readonly number: number
  readonly etag: string
  readonly changes: readonly RevisionChange[]
  readonly warnings: readonly string[]
  /** False for a dry run, and for a change that changes nothing. */
  readonly applied: boolean
}

export interface SettingsServiceDeps extends Drafting {
  readonly home: SettingsHome
  readonly revisions: RevisionStore
  readonly clock: Clock
  readonly checker: SettingsChecker
  readonly inForce: SettingsInForce
}

/** The one way to change the settings document, wherever it is kept; and its history. Every revision stays. */
export class SettingsService {
  readonly #deps: SettingsServiceDeps

  constructor(deps: SettingsServiceDeps) {
    this.#deps = deps
  }

  /** @throws HubError `storage.unavailable` */
  async current(): Promise<CurrentSettings> {
    const { document, latest } = await this.#deps.home.base()
    const { box, variables } = this.#deps
    const previous = latest && documentOf(latest)
    const number = latest?.number ?? 0
    return { number, etag: etagFor(number), document: sealSecrets(document, box, { previous, variables }) }
  }

  /**
   * Changes the settings: checks, writes, makes a revision, puts into force; or nothing of it happens.
   * @throws HubError `settings.invalid`, `settings.conflict`, `settings.read-only`, `settings.unwritable`,
   *   `secret.unreadable`, `storage.unavailable`
   */
  change(request: ChangeRequest): Promise<ChangeOutcome> {
    return this.#run(request, (base) => this.#target(base, request))
  }

  /** Seals every secret under the present key, in the document and in its history; returns how many documents changed. */
  async reseal(author: string): Promise<number> {
    const { box } = this.#deps
    const reason = { author, reason: 'Secrets are sealed under the present key.' }
    await this.#run(reason, ({ document }) => resealSecrets(document, box), true)
    let changed = 0
    let before: number | undefined
    for (;;) {
      const page = await this.list({ limit: 50, ...(before === undefined ? {} : { before }) })
      if (page.length === 0) return changed
      before = page.at(-1)?.number
      const resealed = new Map<number, string>()
      for (const { number } of page) {
        const { document } = await this.#revision(number)
        const next = JSON.stringify(resealSecrets(JSON.parse(document) as Document, box))
        if (next !== document) resealed.set(number, next)
      }
      if (resealed.size > 0) await this.#deps.revisions.replaceDocuments(resealed)
      changed += resealed.size
    }
  }

  /** Newest first. */
  list(page: { readonly before?: number; readonly limit: number }): Promise<readonly RevisionSummary[]> {
    return this.#deps.revisions.list(page)
  }

  /** A revision with its document, secrets masked. @throws HubError `resource.missing` */
  async show(number: number): Promise<RevisionSummary & { readonly document: Document }> {
    const revision = await this.#revision(number)
    return { ...revision, document: maskSecrets(this.#opened(revision)) }
  }

  /** What is different in `to`. @throws HubError `resource.missing` */
  async diff(from: number, to: number): Promise<readonly RevisionChange[]> {
    const [before, after] = [await this.#revision(from), await this.#revision(to)]
    return diffDocuments(this.#opened(before), this.#opened(after))
  }

  /** Puts an earlier revision into force again, as a new revision. @throws HubError `resource.missing` and as `change` */
  async rollback(
    number: number,
    { reason = `Back to revision ${number}.`, ...request }: Omit<ChangeRequest, 'change'>,
  ): Promise<ChangeOutcome> {
    const document = documentOf(await this.#revision(number))
    return this.change({ ...request, reason, change: { document } })
  }

  /** The document as text of an `mcp_settings.json`. @param secrets open ones are for the operator's eyes only */
  async export(secrets: 'sealed' | 'masked' | 'open'): Promise<string> {
    const { document } = await this.current()
    const open = () => openReadable(document, this.#deps.box)
    const shown = { sealed: () => document, masked: () => maskSecrets(open()), open }[secrets]()
    return `${JSON.stringify(shown, undefined, 2)}\n`
  }

  async #run(
    request: ChangeReason & Pick<ChangeRequest, 'ifMatch' | 'dryRun'>,
    targetOf: (base: Base) => Document,
    evenUnchanged = false,
  ): Promise<ChangeOutcome> {
    const { home, inForce } = this.#deps
    const make = (base: Base) => this.#plan(base, request, targetOf, evenUnchanged)
    if (request.dryRun) return (await make(await home.base())).outcome
    return inForce.own(async () => {
      let plan: Plan | undefined
      const stamp = await home.change(async (base) => {
        plan = await make(base)
        return plan.draft
      })
      if (!plan) throw new HubError('internal', `${home.name} did not ask for the change.`)
      return { result: plan.outcome, number: plan.outcome.number, next: plan.draft && plan.checked, stamp }
    })
  }

  async #plan(
    { document, latest }: Base,
    request: ChangeReason & Pick<ChangeRequest, 'ifMatch' | 'dryRun'>,
    targetOf: (base: Base) => Document,
    evenUnchanged: boolean,
  ): Promise<Plan> {
    const { box, clock, home, checker } = this.#deps
    const number = latest?.number ?? 0
    if (request.ifMatch !== undefined && !matches(request.ifMatch, number)) throw changedMeanwhile(home.name)
    const target = targetOf({ document, latest })
    const checked = await checker.check(target, home.name)
    const changes = diffDocuments(openReadable(document, box), checked.document)
    const reason = { author: request.author, reason: request.reason, at: clock.now() }
    const revision = draftRevision(latest, target, reason, this.#deps, evenUnchanged)
    const draft = revision && !request.dryRun ? { document: target, revision } : undefined
    const result = draft?.revision.number ?? number
    return {
      checked,
      draft,
      outcome: {
        number: result,
        etag: etagFor(result),
        changes,
        warnings: checked.warnings,
        applied: draft !== undefined,
      },
    }
  }

  /** The document that is to be kept: only what arrives with the change is sealed, the rest stays as it stands. */
  #target({ document }: Base, { change }: ChangeRequest): Document {
    const { box, variables } = this.#deps
    const stored = openReadable(document, box)
    const edited =
      'document' in change ? applyEdits({}, asEdits(change.document)) : applyEdits(stored, change)
    const open = restoreMasked(openReadable(edited, box), stored)
    return sealSecrets(open, box, { previous: document, keepOpen: true, variables })
  }

  async #revision(number: number): Promise<Revision> {
    const revision = await this.#deps.revisions.get(number)
    if (revision) return revision
    throw new HubError('resource.missing', `There is no revision ${number} of the settings.`, {
      cure: 'List the revisions to see which there are.',
    })
  }

  #opened(revision: Revision): Document {
    return openReadable(documentOf(revision), this.#deps.box)
  }
}

interface Plan {
  readonly checked: CheckedSettings
  /** What is to be written; undefined when nothing is. */
  readonly draft: Draft | undefined
  readonly outcome: ChangeOutcome
}

/** A document as edits of an empty one, so that it is checked as edits are. */
function asEdits(document: Document): readonly SettingsEdit[] {
  return Object.entries(document).map(([name, value]) => ({ path: [name], value }))
}

/** An entity tag (RFC 9110 §8.8.3). */
function etagFor(number: number): string {
  return `"${number}"`
}

/** `If-Match` as RFC 9110 §13.1.1 has it: a list of tags, or `*`; weak tags match nothing. */
function matches(ifMatch: string, number: number): boolean {
  const tags = ifMatch.split(',').map((tag) => tag.trim())
  return tags.includes('*') || tags.includes(etagFor(number))
}
