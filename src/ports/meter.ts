/** Where numbers for Prometheus go. Each metric is created once, at start, with every label set it will ever have. */
export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  add(amount: number, labels?: Labels): void;
}
export interface Gauge {
  set(value: number, labels?: Labels): void;
  /** The series with these labels is shown no more. */
  remove(labels: Labels): void;
}
export interface Histogram {
  observe(value: number, labels?: Labels): void;
}

export interface MetricOptions {
  /** Prometheus name in base units, `dht_..._seconds`, `..._bytes`, `..._total`. */
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
  /** Label sets that exist from the start with value 0. */
  readonly initial?: readonly Labels[];
}

export interface Meter {
  counter(options: MetricOptions): Counter;
  gauge(options: MetricOptions): Gauge;
  /** `buckets`: upper bounds in the metric's unit. */
  histogram(options: MetricOptions & { readonly buckets: readonly number[] }): Histogram;
  /** Called before each scrape, to set gauges that are read rather than counted. */
  onScrape(refresh: () => void): void;
}
