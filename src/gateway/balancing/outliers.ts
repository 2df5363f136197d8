import type { CallEvent } from '../dispatch/servers.ts'

/** Results are counted in windows of this length, and the last two count, ms. */
const WINDOW_MS = 15_000
/** With fewer failures than this a replica is not judged. */
const MIN_FAILURES = 3
/** As many failures one after another are enough, whatever went well before. */
const FAILURES_IN_A_ROW = 5
/** A replica must do this much worse than its peers to get fewer calls, or none. */
const RATE = { fewer: 0.2, none: 0.5, timesPeers: 2 }
/** What is left to a replica that does worse than its peers. */
const FEWER = 0.25
/** Calls in flight and not one answered for this long, while peers answer: it stalls, ms. */
const STALL_MS = 5_000
/** How long a replica is left alone: doubles each time, ms. */
const EJECTION_MS = { first: 10_000, longest: 300_000 }
/** A probe that has not ended by then does not keep others from being made, ms. */
const PROBE_MS = 60_000

type Verdict =
  | { readonly kind: 'fine' }
  | { readonly kind: 'ejected'; readonly until: number }
  /** Its time is over: one call may show whether it is well again. */
  | { readonly kind: 'probed'; readonly since: number }

const FINE: Verdict = { kind: 'fine' }

/** How one replica does, in the calls that this coordinator sends it. All times are monotonic, ms. */
export class Health {
  #verdict: Verdict = FINE
  #ejections = 0
  #fineSince = 0
  #windowStart = 0
  readonly #now = { good: 0, bad: 0 }
  readonly #before = { good: 0, bad: 0 }
  #badInARow = 0
  #open = 0
  #lastAnswer = 0
  #quietSince = 0

  /** Takes note of a call. A timeout, a lost connection and an answer that is none are failures; an error that a tool reports is not. */
  note(event: CallEvent, now: number): void {
    this.#roll(now)
    if (event === 'sent') {
      if (this.#open === 0) this.#quietSince = now
      this.#open += 1
      if (this.#verdict.kind === 'ejected' && now >= this.#verdict.until)
        this.#verdict = { kind: 'probed', since: now }
      return
    }
    this.#open = Math.max(0, this.#open - 1)
    if (event === 'abandoned') return this.#unproven(now)
    if (event === 'answered') this.#good(now)
    else this.#bad(now)
  }

  /** Whether it may be given a call now. */
  admits(now: number): boolean {
    const verdict = this.#verdict
    if (verdict.kind === 'fine') return true
    return verdict.kind === 'ejected' ? now >= verdict.until : now >= verdict.since + PROBE_MS
  }

  /** How much of its share it should get: 1, or less if it errs or stalls more than its peers. */
  share(peers: readonly Health[], now: number): number {
    if (this.#stalls(peers, now)) return FEWER
    return this.#worse(peers, RATE.fewer, now) ? FEWER : 1
  }

  /** Ejects it if it does much worse than its peers; returns for how long, ms. The caller sees to it that others are left. */
  judge(peers: readonly Health[], now: number): number | undefined {
    if (this.#verdict.kind !== 'fine') return undefined
    const inARow = this.#badInARow >= FAILURES_IN_A_ROW && !peers.some((peer) => peer.#badInARow > 0)
    if (!inARow && !this.#worse(peers, RATE.none, now)) return undefined
    return this.#eject(now)
  }

  #eject(now: number): number {
    const ms = Math.min(EJECTION_MS.longest, EJECTION_MS.first * 2 ** this.#ejections)
    this.#ejections += 1
    this.#verdict = { kind: 'ejected', until: now + ms }
    this.#forget()
    return ms
  }

  #good(now: number): void {
    this.#lastAnswer = now
    this.#quietSince = now
    this.#badInARow = 0
    this.#now.good += 1
    if (this.#verdict.kind === 'probed') {
      this.#verdict = FINE
      this.#fineSince = now
      this.#forget()
    } else if (now - this.#fineSince >= EJECTION_MS.longest) this.#ejections = 0
  }

  #bad(now: number): void {
    this.#badInARow += 1
    this.#now.bad += 1
    if (this.#verdict.kind === 'probed') this.#eject(now)
  }

  /** A probe that was given up says nothing: the next one may go at once. */
  #unproven(now: number): void {
    if (this.#verdict.kind === 'probed') this.#verdict = { kind: 'ejected', until: now }
  }

  #worse(peers: readonly Health[], least: number, now: number): boolean {
    this.#roll(now)
    const bad = this.#now.bad + this.#before.bad
    if (bad < MIN_FAILURES) return false
    const rate = bad / (bad + this.#now.good + this.#before.good)
    if (rate < least) return false
    let peersBad = 0
    let peersAll = 0
    for (const peer of peers) {
      peer.#roll(now)
      peersBad += peer.#now.bad + peer.#before.bad
      peersAll += peer.#now.bad + peer.#before.bad + peer.#now.good + peer.#before.good
    }
    // Of peers that nobody has called nothing is known: they get the benefit of the doubt.
    return rate > RATE.timesPeers * (peersAll === 0 ? 0 : peersBad / peersAll)
  }

  #stalls(peers: readonly Health[], now: number): boolean {
    if (this.#open === 0 || now - this.#quietSince < STALL_MS) return false
    return peers.some((peer) => peer.#lastAnswer > this.#quietSince)
  }

  #roll(now: number): void {
    const age = now - this.#windowStart
    if (age < WINDOW_MS) return
    Object.assign(this.#before, age < 2 * WINDOW_MS ? this.#now : NOTHING)
    Object.assign(this.#now, NOTHING)
    this.#windowStart = now
  }

  #forget(): void {
    Object.assign(this.#now, NOTHING)
    Object.assign(this.#before, NOTHING)
    this.#badInARow = 0
  }
}

const NOTHING = { good: 0, bad: 0 }
