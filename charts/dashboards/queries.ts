/**
 * The words that the dashboards' PromQL is made of. Every series is asked for through `of`, so no panel can forget the
 * variables: one namespace at a time (outside Kubernetes there is none, and the empty matcher fits series without it), and
 * of it the chosen jobs and instances.
 */
export interface Query {
  readonly expr: string;
  /** What a line is called; `{{label}}` is replaced. */
  readonly legend: string;
}

export const query = (expr: string, legend: string): Query => ({ expr, legend });

const CHOSEN = 'namespace=~"$namespace",job=~"$job",instance=~"$instance"';

/** The chosen nodes' samples of a series; `matchers` like `code=~"5.."` come on top. */
export function of(series: string, matchers = ''): string {
  return `${series}{${CHOSEN}${matchers === '' ? '' : `,${matchers}`}}`;
}

/** Only what comes from nodes. With all jobs chosen `up` and `process_...` are there for everything that Prometheus scrapes. */
export const ofNodes = (expr: string): string => `(${expr} and on (job, instance) ${of('dht_ring_epoch')})`;

/**
 * The canary of the chosen rings. It is no node: its job has a name of its own beside the ring's, or the sums over nodes
 * would count it; and no instance of the ring is its instance.
 */
export const ofCanary = (series: string, matchers = ''): string => `${series}{namespace=~"$namespace",job=~"($job)(-canary)?"${matchers === '' ? '' : `,${matchers}`}}`;

/** The same for `up`, which alone is there for a node that is down: only jobs that have a node. */
export const nodesUp = (): string => `(sum by (job) (${of('up')}) and on (job) group by (job) (${of('dht_ring_epoch')}))`;

/** Per second, over the shortest time that holds enough scrapes. */
export const rate = (series: string, matchers = ''): string => `rate(${of(series, matchers)}[$__rate_interval])`;

/** How often since the last point of the graph. */
export const happened = (series: string, matchers = ''): string => `increase(${of(series, matchers)}[$__rate_interval])`;

/** How often in the time that the dashboard shows. */
export const happenedInRange = (series: string, matchers = ''): string => `increase(${of(series, matchers)}[$__range])`;

/** A quantile of a histogram, by these labels. `series`: without `_bucket`. */
export function quantile(q: number, series: string, by: readonly string[] = [], matchers = ''): string {
  return `histogram_quantile(${q}, sum by (${['le', ...by].join(', ')}) (${rate(`${series}_bucket`, matchers)}))`;
}

/** Buckets as a heat map takes them. */
export const buckets = (series: string, matchers = ''): string => `sum by (le) (${happened(`${series}_bucket`, matchers)})`;

/**
 * One number for each instance that says which of these states is 1. A state-timeline wants one series a row; the metric
 * has one a state.
 */
export function stateNumber(series: string, label: string, states: readonly string[]): string {
  return `sum by (instance) (${states.map((state, i) => `${of(series, `${label}="${state}"`)} * ${i + 1}`).join(' or ')})`;
}
