/**
 * The Meter door on prom-client. One registry a node, so that tests can run several in one process. Every label set that
 * was announced exists from the start: a rate over a counter that appears with its first event misses that event.
 *
 * Left out of the default metrics: the three nodejs_active_*_total gauges, whose names claim to be counters.
 * Source: [Prometheus] "Writing client libraries".
 */
import * as prom from 'prom-client';
import type { Counter, Gauge, Histogram, Labels, Meter, MetricOptions } from '../ports/meter.ts';

const MISNAMED = ['nodejs_active_resources_total', 'nodejs_active_handles_total', 'nodejs_active_requests_total'];

export interface PromMeterOptions {
  readonly version: string;
  /** Of the source that was built. */
  readonly revision: string;
  readonly nodeVersion: string;
}

export class PromMeter implements Meter {
  readonly #registry = new prom.Registry();
  readonly #refreshes: (() => void)[] = [];

  constructor(options: PromMeterOptions) {
    prom.collectDefaultMetrics({ register: this.#registry });
    for (const name of MISNAMED) this.#registry.removeSingleMetric(name);
    const { version, revision, nodeVersion } = options;
    this.gauge({ name: 'dht_build_info', help: 'Always 1; carries the version of the running program.', labelNames: ['version', 'revision', 'node_version'] }).set(1, { version, revision, node_version: nodeVersion });
  }

  /** The header of what `text` returns. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    for (const refresh of this.#refreshes) refresh();
    return this.#registry.metrics();
  }

  counter(options: MetricOptions): Counter {
    const counter = new prom.Counter(this.#configuration(options));
    for (const labels of options.initial ?? []) counter.inc(labels, 0);
    return { add: (amount, labels) => (labels === undefined ? counter.inc(amount) : counter.inc(labels, amount)) };
  }

  gauge(options: MetricOptions): Gauge {
    const gauge = new prom.Gauge(this.#configuration(options));
    for (const labels of options.initial ?? []) gauge.set(labels, 0);
    return { set: (value, labels) => (labels === undefined ? gauge.set(value) : gauge.set(labels, value)), remove: (labels) => { gauge.remove(labels); } };
  }

  histogram(options: MetricOptions & { readonly buckets: readonly number[] }): Histogram {
    const histogram = new prom.Histogram({ ...this.#configuration(options), buckets: [...options.buckets] });
    for (const labels of options.initial ?? []) histogram.zero(labels);
    return { observe: (value: number, labels?: Labels) => (labels === undefined ? histogram.observe(value) : histogram.observe(labels, value)) };
  }

  onScrape(refresh: () => void): void {
    this.#refreshes.push(refresh);
  }

  #configuration({ name, help, labelNames }: MetricOptions): { name: string; help: string; labelNames: string[]; registers: prom.Registry[] } {
    return { name, help, labelNames: [...(labelNames ?? [])], registers: [this.#registry] };
  }
}
