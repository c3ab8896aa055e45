/**
 * Scrub: reads everything that is held once in a while, so that rot is found while other replicas still have what it spoiled.
 *
 * One pass goes over all registers in key order, and of each reads the record and every byte of its body from the disk, past
 * all caches: CRCs, and the SHA-256 of the whole body. It is paced by bytes, so that a pass takes `passMs` whatever is stored;
 * a body is read in pieces with pauses. Where it stood is noted in a file now and then, as advice: a lost note costs reading.
 * Bytes of the log that nothing names any more aren't read: they matter to nobody but the next start, which checks them.
 *
 * What it finds is told, not repaired here (repair/healing.ts).
 * Source: protocol section D.3 "Scrub".
 */
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { ObjectKey } from '../domain/ring-position.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Disk } from '../ports/disk.ts';
import { openIfThere } from './body-disk.ts';

export interface ScrubDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  /** All registers. */
  readonly next: (after: ObjectKey | null) => ObjectKey | null;
  /** Reads everything of a register, pausing now and then. Rejects with errors of the disk. */
  readonly verify: (key: ObjectKey, pause: () => Promise<void>) => Promise<Verified>;
  /** Registers, and bytes of their bodies. */
  readonly totals: () => { readonly registers: number; readonly bodyBytes: number };
  readonly onVerified: (result: 'ok' | 'corrupt' | 'error') => void;
  readonly onRot: (key: ObjectKey) => void;
}

export interface Verified {
  readonly bytes: number;
  readonly isSound: boolean;
}

export interface ScrubTuning {
  /** Milliseconds that a pass takes. Higher: rot is found later; lower: more reading. */
  readonly passMs: number;
  /** Milliseconds between two pieces of one body. */
  readonly pieceMs: number;
  /** Milliseconds between two notes of the progress. */
  readonly noteMs: number;
}

export interface ScrubOptions extends ScrubTuning {
  /** The node's. */
  readonly directory: string;
}

export interface ScrubView {
  /** Part of the present pass that is done, 0 to 1. */
  readonly progress: number;
  /** When the last whole pass ended, wall time; null: none has. */
  readonly lastPassAtMs: number | null;
  /** Registers of which something was rotten, since the start. */
  readonly rotten: number;
}

/** What a register costs beside its body: its record. */
const RECORD_BYTES = 4096;
/** Milliseconds to the next look when nothing is stored. */
const EMPTY_MS = 60_000;
const NOTE_BYTES_MAX = 4096;

export class Scrub {
  readonly #deps: ScrubDeps;
  readonly #options: ScrubOptions;
  #after: ObjectKey | null = null;
  #lastPassAtMs: number | null = null;
  #rotten = 0;
  #notedAt: MonotonicMs;
  #timer: Timer | null = null;
  #wake: (() => void) | null = null;
  #isStopped = false;
  #running: Promise<void> | null = null;

  constructor(deps: ScrubDeps, options: ScrubOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#notedAt = deps.clock.monotonicNow();
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#wake?.();
    await this.#running;
  }

  view(): ScrubView {
    const progress = this.#after === null ? 0 : parseInt(this.#after.slice(0, 12), 16) / 2 ** 48;
    return { progress, lastPassAtMs: this.#lastPassAtMs, rotten: this.#rotten };
  }

  async #run(): Promise<void> {
    await this.#readNote().catch(() => undefined);
    while (!this.#isStopped) {
      const key = this.#deps.next(this.#after);
      const { registers, bodyBytes } = this.#deps.totals();
      if (key === null) {
        if (this.#after !== null) this.#lastPassAtMs = this.#deps.clock.wallNow();
        this.#after = null;
        await this.#writeNote().catch(() => undefined);
        await this.#pause(registers === 0 ? EMPTY_MS : this.#options.pieceMs);
        continue;
      }
      const bytes = await this.#verify(key);
      this.#after = key;
      if (elapsedMs(this.#notedAt, this.#deps.clock.monotonicNow()) >= this.#options.noteMs) await this.#writeNote().catch(() => undefined);
      // A record may be longer than is reckoned, and where there is one register its pause longer than a timer takes.
      const share = Math.min(1, (bytes + RECORD_BYTES) / (bodyBytes + RECORD_BYTES * registers + 1));
      await this.#pause(Math.max(1, this.#options.passMs * share));
    }
  }

  async #verify(key: ObjectKey): Promise<number> {
    try {
      const { bytes, isSound } = await this.#deps.verify(key, () => this.#pause(this.#options.pieceMs));
      if (this.#isStopped) return bytes;
      this.#deps.onVerified(isSound ? 'ok' : 'corrupt');
      if (!isSound) {
        this.#rotten++;
        this.#deps.onRot(key);
      }
      return bytes;
    } catch {
      if (!this.#isStopped) this.#deps.onVerified('error');
      return 0;
    }
  }

  #pause(delayMs: number): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#timer = this.#deps.clock.after(delayMs, resolve);
    });
  }

  get #path(): string {
    return `${this.#options.directory}/scrub.json`;
  }

  async #readNote(): Promise<void> {
    const file = await openIfThere(this.#deps.disk, this.#path, 'read');
    if (file === null) return;
    const text = (await file.read(0, NOTE_BYTES_MAX).finally(() => file.close())).toString('utf8').trim();
    const { after, lastPassAtMs } = JSON.parse(text) as { after?: unknown; lastPassAtMs?: unknown };
    if (typeof after === 'string' && /^[0-9a-f]{40}$/.test(after)) this.#after = after as ObjectKey;
    if (typeof lastPassAtMs === 'number') this.#lastPassAtMs = lastPassAtMs;
  }

  /** Of one length always, so that a shorter note leaves nothing of a longer one. */
  async #writeNote(): Promise<void> {
    this.#notedAt = this.#deps.clock.monotonicNow();
    const text = JSON.stringify({ after: this.#after, lastPassAtMs: this.#lastPassAtMs }).padEnd(128);
    const file = (await openIfThere(this.#deps.disk, this.#path, 'update')) ?? (await this.#deps.disk.open(this.#path, 'create'));
    await file.write(0, [Buffer.from(`${text}\n`)]).finally(() => file.close());
  }
}
