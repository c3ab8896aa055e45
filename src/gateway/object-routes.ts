/**
 * The routes below /v1/objects: translates between HTTP and object operations, and decides nothing about objects itself.
 * One function call from the raw request to the operation: no router, no parsed query, no stream objects.
 *
 * Invariants: a request over the bound is refused before its body is read; requests of one connection are served one
 * after the other, also when the client doesn't wait for the answers ([RFC 9112] "Pipelining" allows reads side by side
 * only). Those that wait count towards the bound.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { NodeService } from '../node/node-service.ts';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import type { Meter } from '../ports/meter.ts';
import { TokenGate, type BearerToken } from './bearer-tokens.ts';
import { announcesBody, discardBody } from './body-collector.ts';
import { Exchange, type ExchangeDeps } from './exchange.ts';
import { uploadForm } from './form-upload.ts';
import { COLLECTION_ROUTE, GatewayMetrics, OBJECT_ROUTE } from './gateway-metrics.ts';
import { listObjects } from './object-listing.ts';
import { parseObjectName } from './object-name.ts';
import { readObject } from './object-reading.ts';
import { deleteObject, putObject } from './object-writing.ts';
import type { RequestIds } from './request-ids.ts';
import { requestTarget } from './request-target.ts';

export const OBJECTS_PATH = '/v1/objects';
export const OBJECTS_PREFIX = `${OBJECTS_PATH}/`;
const OBJECT_METHODS = 'GET, HEAD, PUT, DELETE';
const COLLECTION_METHODS = 'GET, HEAD, POST';

export interface ObjectRoutesDeps {
  /** Null while the node is starting. */
  readonly node: () => NodeService | null;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly requestIds: RequestIds;
}

export interface ObjectRoutesOptions {
  /** Requests served at a time, each with up to a few hundred KiB of a body in memory; further ones are answered 503. */
  readonly requestsMax: number;
  /** Bytes of the largest body that is taken. */
  readonly objectBytesMax: number;
  /** Who may use objects; null: whoever reaches the port. */
  readonly tokens: (() => readonly BearerToken[]) | null;
}

export class ObjectRoutes {
  readonly #deps: ObjectRoutesDeps;
  readonly #options: ObjectRoutesOptions;
  readonly #exchangeDeps: ExchangeDeps;
  readonly #gate: TokenGate | null;
  #inFlight = 0;
  /** By connection: the latest request that isn't over. One sent before its answer waits for it, so that a client's writes happen in its order. */
  readonly #working = new WeakMap<IncomingMessage['socket'], Promise<void>>();

  constructor(deps: ObjectRoutesDeps, options: ObjectRoutesOptions) {
    this.#deps = deps;
    this.#options = options;
    const { clock, log } = deps;
    this.#gate = options.tokens === null ? null : new TokenGate(deps, options.tokens);
    this.#exchangeDeps = { clock, log, metrics: new GatewayMetrics(deps.meter, () => this.#inFlight) };
  }

  /** Answers the request when its target is one of these; false otherwise. */
  tryHandle(req: IncomingMessage, res: ServerResponse): boolean {
    const { path, query } = requestTarget(req.url ?? '');
    const isCollection = path === OBJECTS_PATH;
    if (!isCollection && !path.startsWith(OBJECTS_PREFIX)) return false;
    const exchange = new Exchange(this.#exchangeDeps, { req, res, requestId: this.#deps.requestIds.next(), route: isCollection ? COLLECTION_ROUTE : OBJECT_ROUTE });
    if (this.#gate?.admits(exchange) === false) return true;
    const coding = req.headers['transfer-encoding'];
    if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
      exchange.refuse('DHT_ERR_REQUEST_INVALID', `Transfer-Encoding is "${coding}"; only "chunked" is understood, and a body is stored as it is sent.`);
      return true;
    }
    if (this.#inFlight >= this.#options.requestsMax) {
      this.#exchangeDeps.metrics.rejected('overload');
      exchange.refuse('DHT_ERR_OVERLOADED', `${this.#inFlight} requests are being served.`);
      return true;
    }
    this.#inFlight++;
    const serve = (): Promise<void> => (isCollection ? this.#serveCollection(exchange, query) : this.#serveObject(exchange, path.slice(OBJECTS_PREFIX.length), query));
    const before = this.#working.get(req.socket);
    // One whose connection has closed while it waited its turn would wait for its body for ever.
    const work = (before === undefined ? serve() : before.then(() => (req.socket.destroyed ? undefined : serve())))
      .catch((error: unknown) => exchange.failed(error))
      .finally(() => {
        this.#inFlight--;
        if (this.#working.get(req.socket) === work) this.#working.delete(req.socket);
      });
    this.#working.set(req.socket, work);
    return true;
  }

  async #serveObject(exchange: Exchange, encodedName: string, query: string): Promise<void> {
    const { method } = exchange.req;
    if (method !== 'GET' && method !== 'PUT' && method !== 'HEAD' && method !== 'DELETE') return refuseMethod(exchange, OBJECT_METHODS);
    const name = parseObjectName(encodedName);
    if (name.kind === 'refused') return exchange.refuse(name.code, name.detail);
    const node = this.#readyNode(exchange);
    if (node === null) return;
    if (method === 'PUT') return await putObject(exchange, node, name.name, this.#options.objectBytesMax);
    if (announcesBody(exchange.req)) discardBody(exchange.req);
    if (method === 'DELETE') return await deleteObject(exchange, node, name.name);
    return await readObject(exchange, node, name.name, query, method);
  }

  async #serveCollection(exchange: Exchange, query: string): Promise<void> {
    const { method } = exchange.req;
    if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') return refuseMethod(exchange, COLLECTION_METHODS);
    const node = this.#readyNode(exchange);
    if (node === null) return;
    if (method === 'POST') return await uploadForm(exchange, node, query, this.#options.objectBytesMax);
    if (announcesBody(exchange.req)) discardBody(exchange.req);
    return await listObjects(exchange, node, query);
  }

  #readyNode(exchange: Exchange): NodeService | null {
    const node = this.#deps.node();
    if (node !== null) return node;
    this.#exchangeDeps.metrics.rejected('not_ready');
    exchange.refuse('DHT_ERR_NOT_READY', 'The node is starting.');
    return null;
  }
}

function refuseMethod(exchange: Exchange, allowed: string): void {
  exchange.refuse('DHT_ERR_METHOD_NOT_ALLOWED', `${String(exchange.req.method)} is not one of ${allowed}.`, [['allow', allowed]]);
}
