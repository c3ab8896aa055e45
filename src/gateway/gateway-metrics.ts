/** Numbers of a gateway. Label objects are made once and used again: they are on the path of every request. */
import type { Counter, Gauge, Histogram, Labels, Meter } from '../ports/meter.ts';

/** Seconds. */
const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
export const OBJECT_ROUTE = '/v1/objects/{name}';
const METHODS = ['GET', 'HEAD', 'PUT', 'DELETE', 'other'] as const;
const STATUSES: Readonly<Record<(typeof METHODS)[number], readonly number[]>> = {
  GET: [200, 400, 404, 500, 503],
  HEAD: [200, 400, 404, 500, 503],
  PUT: [200, 201, 400, 411, 412, 413, 422, 500, 503, 507],
  DELETE: [204, 400, 412, 500, 503],
  other: [404, 405],
};
export type RejectReason = 'overload' | 'not_ready' | 'too_large';
const REJECT_REASONS: readonly RejectReason[] = ['overload', 'not_ready', 'too_large'];

export class GatewayMetrics {
  readonly #requests: Counter;
  readonly #durations: Histogram;
  readonly #rejected: Counter;
  readonly #inFlight: Gauge;
  readonly #labels = new Map<string, Labels>();

  constructor(meter: Meter, inFlight: () => number) {
    this.#requests = meter.counter({
      name: 'dht_gateway_requests_total',
      help: 'Requests answered; route is the pattern, never the path.',
      labelNames: ['method', 'route', 'code'],
      initial: METHODS.flatMap((method) => STATUSES[method].map((status) => this.#requestLabels(method, status))),
    });
    this.#durations = meter.histogram({
      name: 'dht_gateway_request_duration_seconds',
      help: 'Time from request head to end of response.',
      labelNames: ['method', 'route'],
      initial: METHODS.map((method) => this.#methodLabels(method)),
      buckets: DURATION_BUCKETS,
    });
    this.#rejected = meter.counter({
      name: 'dht_gateway_rejected_requests_total',
      help: 'Requests refused before any work.',
      labelNames: ['reason'],
      initial: REJECT_REASONS.map((reason) => ({ reason })),
    });
    this.#inFlight = meter.gauge({ name: 'dht_gateway_inflight_requests', help: 'Requests being served.' });
    meter.onScrape(() => this.#inFlight.set(inFlight()));
  }

  answered(method: string, status: number, elapsedMs: number): void {
    const known = METHODS.find((name) => name === method) ?? 'other';
    this.#requests.add(1, this.#requestLabels(known, status));
    this.#durations.observe(elapsedMs / 1000, this.#methodLabels(known));
  }

  rejected(reason: RejectReason): void {
    this.#rejected.add(1, { reason });
  }

  #methodLabels(method: string): Labels {
    return this.#cached(method, () => ({ method, route: OBJECT_ROUTE }));
  }

  #requestLabels(method: string, status: number): Labels {
    return this.#cached(`${method} ${status}`, () => ({ method, route: OBJECT_ROUTE, code: String(status) }));
  }

  #cached(key: string, make: () => Labels): Labels {
    let labels = this.#labels.get(key);
    if (labels === undefined) this.#labels.set(key, (labels = make()));
    return labels;
  }
}
