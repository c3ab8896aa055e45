/**
 * The durability canary: stores, reads back, deletes and verifies a bounded set of objects all the time, and counts what
 * must never be. One request an object at a time; a fixed number of turns a second, each one request (a write is two: its
 * memory is saved first), at most INFLIGHT_MAX under way, further turns are left out and counted.
 *
 * Reading goes to the object that waits longest for it; an object in doubt goes first. What answers mean is in
 * expectation.ts, what is remembered over a restart in canary-state.ts.
 */
import { elapsedMs } from '../domain/instant.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { HttpClient } from '../ports/http-client.ts';
import type { Meter } from '../ports/meter.ts';
import type { Random } from '../ports/random.ts';
import { CanaryMetrics, type Operation, type Result } from './canary-metrics.ts';
import { CanaryRequests, type Condition, type RequestOptions, type WriteAnswer } from './canary-requests.ts';
import { NEW_SLOT, NO_FINDINGS, stateName, type CanaryState, type Findings } from './canary-state.ts';
import { ABSENT, NOTHING_KNOWN, acknowledged, begun, isWritable, observed, PENDING_MAX, refused, type DoubtRules, type Expectation } from './expectation.ts';
import { digestHeader, payload, sizeOf, versionIn } from './payload.ts';
import { StateKeeper, type Saved } from './state-keeper.ts';

export interface CanaryOptions extends RequestOptions {
  /** All names begin with it. */
  readonly prefix: string;
  /** Lower-case hex: what the bytes follow from. */
  readonly seed: string;
  readonly objects: number;
  /** Turns a second. */
  readonly rate: number;
  /** Bytes of the largest object. */
  readonly sizeMax: number;
}

export interface CanaryDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly http: HttpClient;
  readonly meter: Meter;
  /** A line for people. */
  readonly note: (line: string) => void;
}

/** Requests under way at most. */
const INFLIGHT_MAX = 16;
const LOAD_RETRY_MS = 1000;
/** Milliseconds between two reads of an object in doubt: other gateways, and time for what is under way. */
const DOUBT_DELAY_MS = 500;
const DOUBT: DoubtRules = { readsMin: 5, forMs: 10_000 };
const RUN_BYTES = 8;
/** Of 100 turns: the other ones read. */
const WRITES_IN_100 = 40;
/** Of 100 writes of an object that is there. */
const DELETES_IN_100 = 20;

interface Slot {
  readonly index: number;
  generation: number;
  expectation: Expectation;
  /** Of what is settled; null: of absence. */
  etag: string | null;
  /** Whether what is settled was so at the last look: else it is read before it is written. */
  isFresh: boolean;
  isBusy: boolean;
  isCorrupt: boolean;
  /** Seconds since 1970; 0: not yet. */
  verifiedAt: number;
  readAtMs: number;
  /** Not read before, on the monotonic clock. */
  notBeforeMs: number;
}

export class Canary {
  readonly #deps: CanaryDeps;
  readonly #options: CanaryOptions;
  readonly #requests: CanaryRequests;
  readonly #metrics: CanaryMetrics;
  readonly #keeper: StateKeeper;
  readonly #run: string;
  readonly #startedAt: number;
  readonly #ended = Promise.withResolvers<'stopped' | 'superseded'>();
  #seed: string;
  #findings: Findings = NO_FINDINGS;
  #slots: readonly Slot[] = [];
  #inflight = 0;
  #timer: Timer | null = null;
  #isStopping = false;

  constructor(deps: CanaryDeps, options: CanaryOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#seed = options.seed;
    this.#run = deps.random.hex(RUN_BYTES);
    this.#startedAt = deps.clock.wallNow() / 1000;
    this.#requests = new CanaryRequests({ http: deps.http, random: deps.random.fork('gateway') }, options);
    this.#keeper = new StateKeeper(this.#requests, stateName(options.prefix), this.#run, () => this.#state());
    this.#metrics = new CanaryMetrics(deps.meter, () => ({
      objects: this.#slots.filter(({ expectation: { settled } }) => settled !== null && settled !== ABSENT).length,
      doubtful: this.#slots.filter(({ expectation }) => expectation.doubt !== null).length,
      unknownWrites: this.#slots.reduce((sum, { expectation }) => sum + expectation.pending.length, 0),
      oldestVerified: this.#slots.reduce((oldest, { verifiedAt }) => Math.min(oldest, verifiedAt === 0 ? this.#startedAt : verifiedAt), this.#slots.length === 0 ? this.#startedAt : Infinity),
    }));
  }

  /** Resolves once it was stopped and nothing is under way, or another canary took the set over. */
  get ended(): Promise<'stopped' | 'superseded'> {
    return this.#ended.promise;
  }

  get findings(): Findings {
    return this.#findings;
  }

  start(): void {
    void this.#load();
  }

  stop(): void {
    this.#end('stopped');
  }

  async #load(): Promise<void> {
    const loaded = await this.#keeper.load();
    if (loaded.kind === 'unavailable') return this.#loadLater(loaded.reason);
    const { prefix, objects, seed } = this.#options;
    const kept = loaded.kind === 'found' ? loaded.state : null;
    this.#seed = kept?.seed ?? seed;
    this.#findings = kept?.findings ?? NO_FINDINGS;
    const count = Math.max(objects, kept?.slots.length ?? 0);
    this.#slots = Array.from({ length: count }, (_, index) => ({ ...(kept?.slots[index] ?? NEW_SLOT), index, etag: null, isFresh: false, isBusy: false, isCorrupt: false, verifiedAt: 0, readAtMs: -1, notBeforeMs: 0 }));
    // From here on an earlier canary that still runs can save nothing, so it can write nothing.
    if (await this.#keeper.save() !== 'ok') return this.#loadLater('what the canary remembers can not be saved');
    for (const [finding, found] of Object.entries(this.#findings) as [keyof Findings, number][]) this.#metrics.found(finding, found);
    if (loaded.kind === 'unreadable') this.#found('corrupt', 1, stateName(prefix));
    this.#deps.note(`${kept === null ? 'begins' : 'goes on'} with ${count} objects below ${prefix}`);
    this.#turn();
  }

  #loadLater(reason: string): void {
    if (this.#isStopping) return;
    this.#deps.note(`waits for the ring: ${reason}`);
    this.#timer = this.#deps.clock.after(LOAD_RETRY_MS, () => void this.#load());
  }

  #turn(): void {
    if (this.#isStopping) return;
    this.#timer = this.#deps.clock.after(1000 / this.#options.rate, () => this.#turn());
    if (this.#inflight >= INFLIGHT_MAX) {
      this.#metrics.skipped();
      return;
    }
    const step = this.#nextStep();
    if (step === null) return;
    step.slot.isBusy = true;
    this.#inflight += 1;
    void (step.kind === 'read' ? this.#read(step.slot) : this.#write(step.slot)).then(() => {
      step.slot.isBusy = false;
      this.#inflight -= 1;
      if (this.#isStopping && this.#inflight === 0) this.#ended.resolve('stopped');
    });
  }

  #nextStep(): { readonly kind: 'read' | 'write'; readonly slot: Slot } | null {
    const now = this.#deps.clock.monotonicNow();
    const idle = this.#slots.filter(({ isBusy, notBeforeMs }) => !isBusy && now >= notBeforeMs);
    const inDoubt = idle.find(({ expectation }) => expectation.doubt !== null);
    if (inDoubt !== undefined) return { kind: 'read', slot: inDoubt };
    if (this.#deps.random.below(100) < WRITES_IN_100) {
      const writable = idle.filter(({ expectation, isFresh }) => isFresh && isWritable(expectation));
      const slot = writable.length === 0 ? undefined : writable[this.#deps.random.below(writable.length)];
      if (slot !== undefined) return { kind: 'write', slot };
    }
    const [first, ...others] = idle;
    return first === undefined ? null : { kind: 'read', slot: others.reduce((oldest, slot) => (slot.readAtMs < oldest.readAtMs ? slot : oldest), first) };
  }

  async #read(slot: Slot): Promise<void> {
    const { clock } = this.#deps;
    const name = this.#name(slot);
    const answer = await this.#timed('get', () => this.#requests.read(name), ({ kind }) => (kind === 'body' || kind === 'absent' ? 'ok' : kind));
    const now = clock.monotonicNow();
    slot.readAtMs = now;
    if (answer.kind === 'unavailable' || answer.kind === 'error') return;
    const seen = answer.kind === 'absent' ? ABSENT : versionIn(answer.body, this.#seed, name);
    if (seen === null) {
      if (!slot.isCorrupt) this.#found('corrupt', 1, name);
      slot.isCorrupt = true;
      return;
    }
    slot.isCorrupt = false;
    const { expectation, verdict } = observed(slot.expectation, seen, now, DOUBT);
    slot.expectation = expectation;
    slot.etag = answer.kind === 'absent' ? null : answer.etag;
    slot.isFresh = true;
    switch (verdict.kind) {
      case 'doubtful':
        slot.notBeforeMs = now + DOUBT_DELAY_MS;
        return;
      case 'expected':
        break;
      case 'stale':
        this.#found('stale', verdict.reads, name);
        break;
      case 'lost':
      case 'resurrected':
      case 'unexpected':
        this.#found(verdict.kind, 1, name);
        break;
    }
    slot.verifiedAt = clock.wallNow() / 1000;
    if (expectation.pending.length >= PENDING_MAX) await this.#takeAnotherName(slot, name);
  }

  async #write(slot: Slot): Promise<void> {
    const name = this.#name(slot);
    const isDelete = slot.expectation.settled !== ABSENT && this.#deps.random.below(100) < DELETES_IN_100;
    const { expectation, write } = begun(slot.expectation, isDelete ? 'delete' : 'store');
    const condition: Condition = slot.etag === null ? { kind: 'absent' } : { kind: 'etag', etag: slot.etag };
    slot.expectation = expectation;
    const saved = await this.#save();
    if (saved !== 'ok' || this.#isStopping) {
      // It never left.
      slot.expectation = refused(slot.expectation, write);
      return;
    }
    const answer = isDelete
      ? await this.#timed('delete', () => this.#requests.remove(name, condition), resultOf)
      : await this.#timed('put', () => this.#requests.store(name, ...this.#body(name, write.result), condition), resultOf);
    switch (answer.kind) {
      case 'ok':
        slot.expectation = acknowledged(slot.expectation, write);
        slot.etag = isDelete ? null : answer.etag;
        return;
      case 'unknown':
        slot.isFresh = false;
        return;
      case 'conflict':
      case 'error':
        slot.isFresh = false;
        slot.expectation = refused(slot.expectation, write);
        return;
      case 'unavailable':
        slot.expectation = refused(slot.expectation, write);
        return;
    }
  }

  #body(object: string, version: number): readonly [body: Buffer, digest: string] {
    const name = { seed: this.#seed, object, version };
    const body = payload(name, sizeOf(name, this.#options.sizeMax));
    return [body, digestHeader(body)];
  }

  /** Creates without an outcome stay possible for ever; with too many of them an object says too little. */
  async #takeAnotherName(slot: Slot, old: string): Promise<void> {
    slot.generation += 1;
    slot.expectation = NOTHING_KNOWN;
    slot.isFresh = false;
    await this.#timed('delete', () => this.#requests.remove(old, { kind: 'none' }), resultOf);
  }

  async #save(): Promise<Saved> {
    const saved = await this.#keeper.save();
    this.#metrics.saved(saved === 'ok');
    if (saved === 'superseded') this.#end('superseded');
    return saved;
  }

  async #timed<T>(op: Operation, send: () => Promise<T>, resultIn: (answer: T) => Result): Promise<T> {
    const { clock } = this.#deps;
    const from = clock.monotonicNow();
    const answer = await send();
    this.#metrics.operation(op, resultIn(answer), elapsedMs(from, clock.monotonicNow()));
    return answer;
  }

  #found(finding: keyof Findings, count: number, name: string): void {
    this.#deps.note(`FOUND ${finding}: ${name}`);
    this.#findings = { ...this.#findings, [finding]: this.#findings[finding] + count };
    this.#metrics.found(finding, count);
    void this.#save();
  }

  #state(): CanaryState {
    return { seed: this.#seed, run: this.#run, findings: this.#findings, slots: this.#slots.map(({ generation, expectation }) => ({ generation, expectation })) };
  }

  #name({ index, generation }: Slot): string {
    return `${this.#options.prefix}${index}${generation === 0 ? '' : `.${generation}`}`;
  }

  #end(how: 'stopped' | 'superseded'): void {
    this.#isStopping = true;
    this.#timer?.cancel();
    if (how === 'superseded' || this.#inflight === 0) this.#ended.resolve(how);
  }
}

function resultOf({ kind }: WriteAnswer): Result {
  return kind;
}
