/** A meter that remembers, for tests. */
import type { Labels, Meter, MetricOptions } from '../../src/ports/meter.ts';

export class RecordingMeter implements Meter {
  readonly #values = new Map<string, number>();
  readonly #refreshes: (() => void)[] = [];

  counter = (options: MetricOptions) => ({ add: (amount: number, labels: Labels = {}) => { this.#add(options.name, labels, amount); } });
  gauge = (options: MetricOptions) => ({
    set: (value: number, labels: Labels = {}) => { this.#values.set(key(options.name, labels), value); },
    remove: (labels: Labels) => { this.#values.delete(key(options.name, labels)); },
  });
  histogram = (options: MetricOptions) => ({ observe: (_value: number, labels: Labels = {}) => { this.#add(options.name, labels, 1); } });
  onScrape = (refresh: () => void): void => { this.#refreshes.push(refresh); };

  /** The value now, as a scrape would see it; for histograms the number of observations. */
  value(name: string, labels: Labels = {}): number {
    for (const refresh of this.#refreshes) refresh();
    return this.#values.get(key(name, labels)) ?? 0;
  }

  #add(name: string, labels: Labels, amount: number): void {
    const at = key(name, labels);
    this.#values.set(at, (this.#values.get(at) ?? 0) + amount);
  }
}

function key(name: string, labels: Labels): string {
  return `${name} ${Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => `${k}=${v}`).join(' ')}`;
}
