/**
 * One request and its answer: how answers and problems leave, and that each is counted once. Headers are written as one
 * flat list; a problem takes what is unread of the body off the socket.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { assertNever } from '../domain/assert.ts';
import { ERRORS, type ErrorCode } from '../domain/error-catalogue.ts';
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { WriteFailure } from '../domain/object-operation.ts';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import { announcesBody, discardBody, expectsContinue } from './body-collector.ts';
import { entityTag } from './entity-tag.ts';
import type { GatewayMetrics, Route } from './gateway-metrics.ts';
import { problemBody, problemHeaders, type Problem } from './problem.ts';

export interface ExchangeDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: GatewayMetrics;
}

/** What a problem says beside its code and detail. */
export type ProblemExtras = Omit<Problem, 'code' | 'detail' | 'requestId'> & { readonly headers?: readonly (readonly [string, string])[] };

export class Exchange {
  readonly #deps: ExchangeDeps;
  readonly #startedAt: MonotonicMs;
  readonly #route: Route;
  readonly #bytes = { received: 0, sent: 0 };
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly requestId: string;

  constructor(deps: ExchangeDeps, request: { readonly req: IncomingMessage; readonly res: ServerResponse; readonly requestId: string; readonly route: Route }) {
    this.#deps = deps;
    this.req = request.req;
    this.res = request.res;
    this.requestId = request.requestId;
    this.#route = request.route;
    this.#startedAt = deps.clock.monotonicNow();
  }

  get metrics(): GatewayMetrics {
    return this.#deps.metrics;
  }

  get log(): Log {
    return this.#deps.log;
  }

  /** The whole answer. `headers` null: they are set on the response already. */
  answer(status: number, headers: string[] | null, body: Buffer | null): void {
    if (headers === null) this.res.writeHead(status);
    else this.res.writeHead(status, headers);
    if (body === null) this.res.end();
    else this.res.end(body);
    this.ended(status);
  }

  answerJson(value: unknown): void {
    const body = Buffer.from(`${JSON.stringify(value)}\n`);
    this.answer(200, ['content-type', 'application/json', 'content-length', String(body.length), 'cache-control', 'no-store', 'x-content-type-options', 'nosniff', 'x-request-id', this.requestId], body);
  }

  /**
   * Whether the client is still there to hear the answer. A request that a network held back comes with the end of its
   * connection right behind it, and that is read some milliseconds before the connection is closed.
   */
  readonly isAwaited = (): boolean => !this.res.closed && !this.req.socket.readableEnded && !this.req.socket.destroyed;

  /** Bytes of a body were taken from the client. */
  received(byteCount: number): void {
    this.#bytes.received += byteCount;
    this.metrics.received(byteCount);
  }

  /** Bytes of an object were given to the client. */
  sent(byteCount: number): void {
    this.#bytes.sent += byteCount;
    this.metrics.sent(byteCount);
  }

  /** An answer that was written piece by piece is over. */
  ended(status: number): void {
    this.#deps.metrics.answered(this.#route, this.req.method ?? '', status, elapsedMs(this.#startedAt, this.#deps.clock.monotonicNow()), this.#bytes);
  }

  problem(code: ErrorCode, detail: string, extras: ProblemExtras = {}): void {
    const { req, res, requestId } = this;
    const { headers = [], ...members } = extras;
    const problem = { code, detail, requestId, ...members };
    if (code === 'DHT_ERR_NO_QUORUM' || code === 'DHT_ERR_OUTCOME_UNKNOWN') this.metrics.quorumFailed(this.#route, req.method ?? '');
    const body = problemBody(problem);
    const isUnread = !req.complete && announcesBody(req);
    // A client that waits for "100 Continue" and gets a refusal may send its body or not: only a new connection is clear.
    if (isUnread && expectsContinue(req)) res.setHeader('connection', 'close');
    for (const [name, value] of headers) res.setHeader(name, value);
    for (const [name, value] of Object.entries(problemHeaders(problem, body.length))) if (value !== undefined) res.setHeader(name, value);
    this.answer(ERRORS[code].status, null, body);
    if (isUnread) discardBody(req);
  }

  /** A problem before the operation began: certainly nothing was applied. */
  refuse(code: ErrorCode, detail: string, headers: readonly (readonly [string, string])[] = []): void {
    const { method } = this.req;
    this.problem(code, detail, { headers, ...((method === 'PUT' || method === 'DELETE') && { outcome: 'not-applied' as const }) });
  }

  writeFailed(failure: WriteFailure): void {
    const { code, detail, ...members } = writeProblem(failure);
    this.problem(code, detail, members);
  }

  /** The node threw: a bug, or it is stopping. What a write did is unknown. */
  failed(error: unknown): void {
    const { method } = this.req;
    this.log.error('An object request failed', { requestId: this.requestId, method, error: error instanceof Error ? error.stack : String(error) });
    if (this.res.headersSent) this.res.destroy();
    else this.problem('DHT_ERR_INTERNAL', 'The log of the node has the details.', method === 'PUT' || method === 'DELETE' ? { outcome: 'unknown' } : {});
  }
}

/** What a write that ended badly says. */
export function writeProblem(failure: WriteFailure): Pick<Problem, 'code' | 'detail' | 'outcome' | 'currentEtag'> {
  switch (failure.kind) {
    case 'precondition-failed': {
      const currentEtag = failure.current === null ? null : entityTag(failure.current);
      return { code: 'DHT_ERR_PRECONDITION_FAILED', detail: currentEtag === null ? 'There is no such object now.' : `The object's ETag is ${currentEtag} now.`, outcome: 'not-applied', currentEtag };
    }
    case 'not-applied':
      return { code: failure.code, detail: failure.detail, outcome: 'not-applied' };
    case 'unknown':
      return { code: 'DHT_ERR_OUTCOME_UNKNOWN', detail: failure.detail, outcome: 'unknown' };
    default:
      return assertNever(failure);
  }
}
