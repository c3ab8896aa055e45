/**
 * Client latency: whether clients wait longer than usual, told once a second, so that background work gives way. "Usual" is the
 * 99th percentile of calm seconds: it follows a better one at once and a worse one only slowly, so that a load which lasts for
 * minutes becomes the new usual, and repair isn't held down by it for ever.
 *
 * Too few operations say nothing, and below `noiseMs` a doubling is noise: then background work may go faster.
 * Cost: one number for each operation, at most `samplesMax` a second.
 * Source: protocol section E (3), "halves when client p99 doubles".
 */

export interface ClientLatencyOptions {
  /** Operations of one second that are looked at; the rest are left out. */
  readonly samplesMax: number;
  readonly samplesMin: number;
  /** Milliseconds below which a percentile counts as good whatever it was before. */
  readonly noiseMs: number;
}

/** Of the difference to a worse percentile that becomes usual in one second: half of it within a minute. */
const GETTING_USED = 1 / 90;
const PERCENTILE = 0.99;

export class ClientLatency {
  readonly #options: ClientLatencyOptions;
  #samples: number[] = [];
  #usualMs: number | null = null;

  constructor(options: ClientLatencyOptions) {
    this.#options = options;
  }

  /** An operation of a client took so long. */
  add(durationMs: number): void {
    if (this.#samples.length < this.#options.samplesMax) this.#samples.push(durationMs);
  }

  /** To be asked once a second. slow: background work should give way. */
  judge(): 'calm' | 'slow' {
    const samples = this.#samples;
    if (samples.length < this.#options.samplesMin) return 'calm';
    this.#samples = [];
    samples.sort((a, b) => a - b);
    const p99 = samples[Math.min(samples.length - 1, Math.floor(samples.length * PERCENTILE))] ?? 0;
    const usual = this.#usualMs ?? p99;
    this.#usualMs = p99 < usual ? p99 : usual + (p99 - usual) * GETTING_USED;
    return p99 > this.#options.noiseMs && p99 > 2 * usual ? 'slow' : 'calm';
  }
}
