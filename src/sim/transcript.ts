/**
 * What happened, twice: as lines to read, and as a digest of everything (the time of each event, each line, readable
 * or not). Two runs of one seed have to give the same digest, also in two processes; where they don't, some code looked
 * at something that isn't the seed's.
 *
 * Lines beyond the bound are counted in the digest and no longer kept, so a long run stays small.
 */
import { createHash } from 'node:crypto';

export interface TranscriptOptions {
  /** Readable lines kept; 0 keeps none (a swarm keeps lines only when it repeats a failing seed). */
  readonly linesMax: number;
}

const TIMES_BATCH = 1024;

export class Transcript {
  readonly #linesMax: number;
  readonly #hash = createHash('sha256');
  readonly #times = new Float64Array(TIMES_BATCH);
  readonly #lines: string[] = [];
  #watcher: ((atMs: number, who: string, text: string) => void) | null = null;
  #timeCount = 0;
  #omitted = 0;
  #events = 0;

  constructor(options: TranscriptOptions) {
    this.#linesMax = options.linesMax;
  }

  /** Counts one event into the digest. */
  event(atMs: number): void {
    this.#times[this.#timeCount++] = atMs;
    this.#events++;
    if (this.#timeCount === TIMES_BATCH) this.#flushTimes();
  }

  /** Tells of every line as it is written. */
  watch(watcher: (atMs: number, who: string, text: string) => void): void {
    this.#watcher = watcher;
  }

  line(atMs: number, who: string, text: string): void {
    this.#flushTimes();
    this.#watcher?.(atMs, who, text);
    this.#hash.update(`${who}\t${text}\n`);
    if (this.#lines.length < this.#linesMax) this.#lines.push(`${(atMs / 1000).toFixed(3).padStart(9)}  ${who.padEnd(10)}  ${text}`);
    else this.#omitted++;
  }

  events(): number {
    return this.#events;
  }

  lines(): readonly string[] {
    return this.#omitted === 0 || this.#linesMax === 0 ? this.#lines : [...this.#lines, `... ${this.#omitted} more lines`];
  }

  /** Hex; the transcript goes on afterwards. */
  digest(): string {
    this.#flushTimes();
    return this.#hash.copy().digest('hex');
  }

  #flushTimes(): void {
    if (this.#timeCount === 0) return;
    this.#hash.update(new Uint8Array(this.#times.buffer, 0, this.#timeCount * Float64Array.BYTES_PER_ELEMENT));
    this.#timeCount = 0;
  }
}
