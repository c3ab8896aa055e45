/** Numbers of a gateway. Label objects are made once and used again: they are on the path of every request. */
import type { Counter, Gauge, Histogram, Labels, Meter } from '../ports/meter.ts';

/** Seconds. */
const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** Bytes: from 1 KiB to 16 GiB. */
const SIZE_BUCKETS = Array.from({ length: 13 }, (_, i) => 1024 * 4 ** i);
export const OBJECT_ROUTE = '/v1/objects/{name}';
export const COLLECTION_ROUTE = '/v1/objects';
export type Route = typeof OBJECT_ROUTE | typeof COLLECTION_ROUTE;
/** Statuses by route and method; of other methods, `other`. */
const STATUSES: Readonly<Record<Route, Readonly<Record<string, readonly number[]>>>> = {
  [OBJECT_ROUTE]: {
    GET: [200, 206, 304, 400, 401, 404, 412, 416, 500, 503],
    HEAD: [200, 304, 400, 401, 404, 412, 500, 503],
    PUT: [200, 201, 400, 401, 411, 412, 413, 422, 500, 503, 507],
    DELETE: [204, 400, 401, 412, 500, 503],
    other: [401, 405],
  },
  [COLLECTION_ROUTE]: { GET: [200, 400, 401, 500, 503], HEAD: [200, 400, 401, 500, 503], POST: [200, 400, 401, 413, 500, 503], other: [401, 405] },
};
const ROUTES = [OBJECT_ROUTE, COLLECTION_ROUTE] as const;
export type RejectReason = 'overload' | 'not_ready' | 'too_large' | 'unauthorized';
const REJECT_REASONS: readonly RejectReason[] = ['overload', 'not_ready', 'too_large', 'unauthorized'];
/** What a client wanted when too few replicas answered. */
const QUORUM_OPS = ['put', 'get', 'delete', 'list'] as const;
const UPLOADS: readonly string[] = ['PUT', 'POST'];
const DOWNLOAD = 'GET';
export type Transfer = 'upload' | 'download';
const TRANSFERS: readonly Transfer[] = ['upload', 'download'];

export class GatewayMetrics {
  readonly #requests: Counter;
  readonly #durations: Histogram;
  readonly #requestSizes: Histogram;
  readonly #responseSizes: Histogram;
  readonly #rejected: Counter;
  readonly #quorumFailures: Counter;
  readonly #received: Counter;
  readonly #sent: Counter;
  readonly #aborted: Counter;
  readonly #inFlight: Gauge;
  readonly #labels = new Map<string, Labels>();

  constructor(meter: Meter, inFlight: () => number) {
    this.#requests = meter.counter({
      name: 'dht_gateway_requests_total',
      help: 'Requests answered; route is the pattern, never the path.',
      labelNames: ['method', 'route', 'code'],
      initial: ROUTES.flatMap((route) => Object.entries(STATUSES[route]).flatMap(([method, statuses]) => statuses.map((status) => this.#requestLabels(route, method, status)))),
    });
    this.#durations = meter.histogram({
      name: 'dht_gateway_request_duration_seconds',
      help: 'Time from request head to end of response.',
      labelNames: ['method', 'route'],
      initial: ROUTES.flatMap((route) => Object.keys(STATUSES[route]).map((method) => this.#methodLabels(route, method))),
      buckets: DURATION_BUCKETS,
    });
    this.#requestSizes = meter.histogram({
      name: 'dht_gateway_request_size_bytes',
      help: 'Sizes of the bodies of uploads that succeeded: of a file (PUT) or of a whole form (POST).',
      labelNames: ['method'],
      initial: UPLOADS.map((method) => ({ method })),
      buckets: SIZE_BUCKETS,
    });
    this.#responseSizes = meter.histogram({
      name: 'dht_gateway_response_size_bytes',
      help: 'Sizes of the objects, or ranges of them, that were sent to their end.',
      labelNames: ['method'],
      initial: [{ method: DOWNLOAD }],
      buckets: SIZE_BUCKETS,
    });
    this.#rejected = meter.counter({
      name: 'dht_gateway_rejected_requests_total',
      help: 'Requests refused before any work.',
      labelNames: ['reason'],
      initial: REJECT_REASONS.map((reason) => ({ reason })),
    });
    this.#quorumFailures = meter.counter({
      name: 'dht_gateway_quorum_failures_total',
      help: 'Requests answered 503 because too few replicas answered, or because none could tell whether a write was applied.',
      labelNames: ['op'],
      initial: QUORUM_OPS.map((op) => ({ op })),
    });
    this.#received = meter.counter({ name: 'dht_gateway_received_bytes_total', help: 'Bytes of bodies taken from clients.' });
    this.#sent = meter.counter({ name: 'dht_gateway_sent_bytes_total', help: 'Bytes of objects given to clients.' });
    this.#aborted = meter.counter({
      name: 'dht_gateway_aborted_transfers_total',
      help: 'Bodies that broke off: the client left, was cut, or the object could not be read on.',
      labelNames: ['transfer'],
      initial: TRANSFERS.map((transfer) => ({ transfer })),
    });
    this.#inFlight = meter.gauge({ name: 'dht_gateway_inflight_requests', help: 'Requests being served.' });
    meter.onScrape(() => this.#inFlight.set(inFlight()));
  }

  /** `bytes`: of the body taken from the client, and of an object sent to it. */
  answered(route: Route, method: string, status: number, elapsedMs: number, bytes: { readonly received: number; readonly sent: number }): void {
    const known = Object.hasOwn(STATUSES[route], method) ? method : 'other';
    this.#requests.add(1, this.#requestLabels(route, known, status));
    this.#durations.observe(elapsedMs / 1000, this.#methodLabels(route, known));
    if (status === 200 || status === 201 || status === 206) this.#transferred(route, known, bytes);
  }

  rejected(reason: RejectReason): void {
    this.#rejected.add(1, { reason });
  }

  quorumFailed(route: Route, method: string): void {
    const op = method === 'PUT' || method === 'POST' ? 'put' : method === 'DELETE' ? 'delete' : route === COLLECTION_ROUTE ? 'list' : 'get';
    this.#quorumFailures.add(1, { op });
  }

  received(byteCount: number): void {
    this.#received.add(byteCount);
  }

  sent(byteCount: number): void {
    this.#sent.add(byteCount);
  }

  aborted(transfer: Transfer): void {
    this.#aborted.add(1, { transfer });
  }

  #transferred(route: Route, method: string, { received, sent }: { readonly received: number; readonly sent: number }): void {
    if (UPLOADS.includes(method)) this.#requestSizes.observe(received, this.#cached(method, () => ({ method })));
    else if (method === DOWNLOAD && route === OBJECT_ROUTE) this.#responseSizes.observe(sent, this.#cached(method, () => ({ method })));
  }

  #methodLabels(route: Route, method: string): Labels {
    return this.#cached(`${route} ${method}`, () => ({ method, route }));
  }

  #requestLabels(route: Route, method: string, status: number): Labels {
    return this.#cached(`${route} ${method} ${status}`, () => ({ method, route, code: String(status) }));
  }

  #cached(key: string, make: () => Labels): Labels {
    let labels = this.#labels.get(key);
    if (labels === undefined) this.#labels.set(key, (labels = make()));
    return labels;
  }
}
