/**
 * PUT, GET, HEAD and DELETE of /v1/objects/{name}: translates between HTTP and object operations, and decides nothing
 * about objects itself. One function call from the raw request to the operation: no router, no streams, headers written
 * as one flat list.
 *
 * Invariants: a request over the limit is refused before its body is read; a body that breaks off or doesn't have its
 * announced digest never reaches the node; every failed write says whether it may be there.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ballotText, ballotWallMs } from '../domain/ballot.ts';
import { ERRORS, type ErrorCode } from '../domain/error-catalogue.ts';
import type { MonotonicMs } from '../domain/instant.ts';
import { elapsedMs } from '../domain/instant.ts';
import { INLINE_BODY_BYTES_MAX } from '../domain/limits.ts';
import type { GetOutcome, WriteFailure } from '../domain/object-operation.ts';
import { assertNever } from '../domain/assert.ts';
import type { NodeService } from '../node/node-service.ts';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import type { Meter } from '../ports/meter.ts';
import { announcedLength, announcesBody, collectBody, discardBody, expectsContinue } from './body-collector.ts';
import { digestMismatch } from './body-digest.ts';
import { entityTag } from './entity-tag.ts';
import { GatewayMetrics } from './gateway-metrics.ts';
import { parseObjectName } from './object-name.ts';
import { problemBody, problemHeaders, type WriteFate } from './problem.ts';
import type { RequestIds } from './request-ids.ts';
import { rawQueryValue, requestTarget } from './request-target.ts';
import { putHeaders, writeHeaders } from './write-headers.ts';

export const OBJECTS_PREFIX = '/v1/objects/';
export const OBJECT_METHODS = ['GET', 'HEAD', 'PUT', 'DELETE'] as const;

/** Content types that a browser would run; they are served, but sandboxed. */
const ACTIVE_CONTENT = /html|xml|svg|pdf/i;

export interface ObjectRoutesDeps {
  /** Null while the node is starting. */
  readonly node: () => NodeService | null;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly requestIds: RequestIds;
}

export interface ObjectRoutesOptions {
  /** Requests served at a time, each with up to one inline body in memory; further ones are answered 503. */
  readonly requestsMax: number;
}

/** One request on its way. */
interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly requestId: string;
  readonly startedAt: MonotonicMs;
}

export class ObjectRoutes {
  readonly #deps: ObjectRoutesDeps;
  readonly #options: ObjectRoutesOptions;
  readonly #metrics: GatewayMetrics;
  #inFlight = 0;

  constructor(deps: ObjectRoutesDeps, options: ObjectRoutesOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#metrics = new GatewayMetrics(deps.meter, () => this.#inFlight);
  }

  /** Answers the request when its target is an object's; false otherwise. */
  tryHandle(req: IncomingMessage, res: ServerResponse): boolean {
    const { path, query } = requestTarget(req.url ?? '');
    if (!path.startsWith(OBJECTS_PREFIX)) return false;
    const exchange: Exchange = { req, res, requestId: this.#deps.requestIds.next(), startedAt: this.#deps.clock.monotonicNow() };
    if (this.#inFlight >= this.#options.requestsMax) {
      this.#metrics.rejected('overload');
      this.#refuse(exchange, 'DHT_ERR_OVERLOADED', `${this.#inFlight} requests are being served.`);
      return true;
    }
    this.#inFlight++;
    this.#serve(exchange, path.slice(OBJECTS_PREFIX.length), query)
      .catch((error: unknown) => this.#failed(exchange, error))
      .finally(() => this.#inFlight--);
    return true;
  }

  async #serve(exchange: Exchange, encodedName: string, query: string): Promise<void> {
    const { method } = exchange.req;
    if (method !== 'GET' && method !== 'PUT' && method !== 'HEAD' && method !== 'DELETE') {
      return this.#refuse(exchange, 'DHT_ERR_METHOD_NOT_ALLOWED', `${String(method)} is not one of ${OBJECT_METHODS.join(', ')}.`);
    }
    const name = parseObjectName(encodedName);
    if (name.kind === 'refused') return this.#refuse(exchange, name.code, name.detail);
    const node = this.#deps.node();
    if (node === null) {
      this.#metrics.rejected('not_ready');
      return this.#refuse(exchange, 'DHT_ERR_NOT_READY', 'The node is starting.');
    }
    if (method === 'PUT') return await this.#put(exchange, node, name.name);
    if (announcesBody(exchange.req)) discardBody(exchange.req);
    if (method === 'DELETE') return await this.#delete(exchange, node, name.name);
    return await this.#get(exchange, node, name.name, query, method === 'GET');
  }

  async #put(exchange: Exchange, node: NodeService, name: string): Promise<void> {
    const { req, res } = exchange;
    const headers = putHeaders(req.headers);
    if (typeof headers === 'string') return this.#refuse(exchange, 'DHT_ERR_REQUEST_INVALID', headers);
    const length = announcedLength(req);
    if (length === null && req.headers['transfer-encoding'] === undefined) return this.#refuse(exchange, 'DHT_ERR_LENGTH_REQUIRED', 'The request has neither Content-Length nor Transfer-Encoding.');
    if (length !== null && length > INLINE_BODY_BYTES_MAX) return this.#refuseTooLarge(exchange, `Content-Length is ${length}`);
    const body = await collectBody(req, res, INLINE_BODY_BYTES_MAX);
    if (body.kind === 'broken') return;
    if (body.kind === 'too-large') return this.#refuseTooLarge(exchange, 'The body is longer');
    const mismatch = digestMismatch(body.bytes, headers.digests);
    if (mismatch !== null) return this.#refuse(exchange, 'DHT_ERR_DIGEST_MISMATCH', mismatch);

    const { contentType, meta, condition, opId } = headers;
    const outcome = await node.objects.put({ name, body: body.bytes, contentType, meta, condition, opId });
    if (outcome.kind !== 'stored') return this.#writeFailed(exchange, outcome);
    const { receipt } = outcome;
    const answer = Buffer.from(`${JSON.stringify(receipt)}\n`);
    this.#answer(exchange, outcome.isCreated ? 201 : 200, ['content-type', 'application/json', 'content-length', String(answer.length), 'etag', receipt.etag, 'x-dht-version', receipt.version, 'x-request-id', exchange.requestId], answer);
  }

  async #delete(exchange: Exchange, node: NodeService, name: string): Promise<void> {
    const headers = writeHeaders(exchange.req.headers, 'DELETE');
    if (typeof headers === 'string') return this.#refuse(exchange, 'DHT_ERR_REQUEST_INVALID', headers);
    const outcome = await node.objects.delete({ name, condition: headers.condition, opId: headers.opId });
    if (outcome.kind !== 'deleted') return this.#writeFailed(exchange, outcome);
    this.#answer(exchange, 204, ['x-request-id', exchange.requestId], null);
  }

  async #get(exchange: Exchange, node: NodeService, name: string, query: string, wantBody: boolean): Promise<void> {
    const consistency = rawQueryValue(query, 'consistency') ?? 'linearizable';
    if (consistency !== 'linearizable' && consistency !== 'one') return this.#refuse(exchange, 'DHT_ERR_REQUEST_INVALID', `consistency is "${consistency}": allowed is linearizable or one.`);
    const outcome = await node.objects.get({ name, consistency, wantBody });
    switch (outcome.kind) {
      case 'found':
        return this.#found(exchange, outcome);
      case 'absent':
        return this.#problem(exchange, 'DHT_ERR_NOT_FOUND', 'No object has this name.');
      case 'unavailable':
        return this.#problem(exchange, outcome.code, outcome.detail);
      default:
        return assertNever(outcome);
    }
  }

  #found(exchange: Exchange, outcome: GetOutcome & { readonly kind: 'found' }): void {
    const { record, body } = outcome;
    const headers = [
      'content-type', record.contentType,
      'content-length', String(record.body.size),
      'etag', entityTag(record.version),
      'x-dht-version', ballotText(record.version),
      'last-modified', new Date(ballotWallMs(record.version)).toUTCString(),
      // Ranges aren't served yet, and saying so spares a client the attempt.
      'accept-ranges', 'none',
      'repr-digest', `sha-256=:${Buffer.from(record.body.sha256, 'hex').toString('base64')}:`,
      // A cache may keep it, but has to ask before it answers with it.
      'cache-control', 'no-cache',
      'x-content-type-options', 'nosniff',
      'x-request-id', exchange.requestId,
    ];
    if (outcome.isStalePossible) headers.push('x-dht-consistency', 'one');
    if (ACTIVE_CONTENT.test(record.contentType)) headers.push('content-security-policy', 'sandbox');
    for (const [name, value] of record.meta) headers.push(`x-dht-meta-${name}`, value);
    this.#answer(exchange, 200, headers, body);
  }

  #writeFailed(exchange: Exchange, failure: WriteFailure): void {
    switch (failure.kind) {
      case 'precondition-failed': {
        const currentEtag = failure.current === null ? null : entityTag(failure.current);
        return this.#problem(exchange, 'DHT_ERR_PRECONDITION_FAILED', currentEtag === null ? 'There is no such object now.' : `The object's ETag is ${currentEtag} now.`, 'not-applied', currentEtag);
      }
      case 'not-applied':
        return this.#problem(exchange, failure.code, failure.detail, 'not-applied');
      case 'unknown':
        return this.#problem(exchange, 'DHT_ERR_OUTCOME_UNKNOWN', failure.detail, 'unknown');
      default:
        return assertNever(failure);
    }
  }

  #refuseTooLarge(exchange: Exchange, what: string): void {
    this.#metrics.rejected('too_large');
    this.#refuse(exchange, 'DHT_ERR_TOO_LARGE', `${what}, at most ${INLINE_BODY_BYTES_MAX} bytes are stored.`);
  }

  /** A problem before the operation began: certainly nothing was applied, and the body may be unread. */
  #refuse(exchange: Exchange, code: ErrorCode, detail: string): void {
    // A client that waits for "100 Continue" and gets a refusal may send its body or not: only a new connection is clear.
    if (!exchange.req.complete && expectsContinue(exchange.req)) exchange.res.setHeader('connection', 'close');
    this.#problem(exchange, code, detail, 'not-applied');
    if (announcesBody(exchange.req)) discardBody(exchange.req);
  }

  #problem(exchange: Exchange, code: ErrorCode, detail: string, fate: WriteFate = 'unknown', currentEtag?: string | null): void {
    const { req, res, requestId } = exchange;
    const isWrite = req.method === 'PUT' || req.method === 'DELETE';
    const problem = { code, detail, requestId, ...(isWrite && { outcome: fate }), ...(currentEtag !== undefined && { currentEtag }) };
    const body = problemBody(problem);
    if (code === 'DHT_ERR_METHOD_NOT_ALLOWED') res.setHeader('allow', OBJECT_METHODS.join(', '));
    for (const [name, value] of Object.entries(problemHeaders(problem, body.length))) if (value !== undefined) res.setHeader(name, value);
    this.#answer(exchange, ERRORS[code].status, null, body);
  }

  /** The node threw: a bug, or it is stopping. What a write did is unknown. */
  #failed(exchange: Exchange, error: unknown): void {
    this.#deps.log.error('An object request failed', { requestId: exchange.requestId, method: exchange.req.method, error: error instanceof Error ? error.stack : String(error) });
    if (exchange.res.headersSent) exchange.res.destroy();
    else this.#problem(exchange, 'DHT_ERR_INTERNAL', 'The log of the node has the details.');
  }

  #answer(exchange: Exchange, status: number, headers: string[] | null, body: Buffer | null): void {
    const { req, res, startedAt } = exchange;
    if (headers === null) res.writeHead(status);
    else res.writeHead(status, headers);
    if (body === null) res.end();
    else res.end(body);
    this.#metrics.answered(req.method ?? '', status, elapsedMs(startedAt, this.#deps.clock.monotonicNow()));
  }
}
