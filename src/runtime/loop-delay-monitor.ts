/** How late the event loop runs: what a node must know of itself before it calls others slow. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Milliseconds between samples; a delay shorter than this is noise of the timer itself. */
const RESOLUTION_MS = 20;

export class LoopDelayMonitor {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  constructor() {
    this.#histogram.enable();
  }

  /** p99 in milliseconds since the last call, above the sampling interval itself; 0 when there was no sample. */
  takeP99Ms(): number {
    const histogram = this.#histogram;
    const p99Ms = histogram.count === 0 ? 0 : Math.max(0, histogram.percentile(99) / 1e6 - RESOLUTION_MS);
    histogram.reset();
    return p99Ms;
  }

  stop(): void {
    this.#histogram.disable();
  }
}
