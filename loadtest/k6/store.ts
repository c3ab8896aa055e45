/**
 * The gateway as a virtual user sees it. Requests go round the gateways; one that refuses the connection is left out for
 * a moment and the request, which nobody has seen, goes to the next, as it would behind a Service. Nothing else is tried
 * again here: what a client gets for its first attempt is what is measured.
 *
 * Every request carries the tags `op` and `name`; the name is that of the route, so that a million keys stay one series.
 */
import crypto from 'k6/crypto';
import exec from 'k6/execution';
import http, { type Params, type RefinedResponse, type ResponseType } from 'k6/http';
import { describe, GENERATION_HEADER, isUnavailable, isWithoutRetryAfter, readAnswer, writeAnswer, type HttpAnswer, type ReadAnswer, type WriteAnswer } from '../lib/answers.ts';
import type { StoreClient } from '../lib/journeys.ts';
import type { ExpectedDigest } from '../lib/key-watch.ts';
import { ackedLine, refusedLine, removedLine } from '../lib/log-lines.ts';
import { payload } from '../lib/payload.ts';
import { baseUrls, isAckedLogged, profile, token } from './config.ts';
import { ackedPuts, failuresWithoutRetryAfter, unavailable, unknownWrites } from './measures.ts';

const OBJECTS = '/v1/objects';
const OBJECT_ROUTE = '/v1/objects/{name}';
/** Milliseconds for which a gateway that refused a connection isn't asked. */
const LEFT_OUT_MS = 1000;
/** Of a user: what a whole ring says when it is down needs no second thousand lines. */
const REFUSALS_TOLD_MAX = 50;
/** Of a request that k6 itself broke off, at the end of a run. */
const GIVEN_UP = 'context canceled';
/** k6's error codes of requests that never left: names that don't resolve, and connections that were not made. */
const isUnsent = (code: number): boolean => (code >= 1100 && code < 1120) || (code >= 1210 && code < 1220);

export type Operation = 'put' | 'get' | 'delete' | 'head' | 'list';
type Method = 'PUT' | 'GET' | 'DELETE' | 'HEAD';
type Response = RefinedResponse<ResponseType>;

// What a client asks for on purpose is no failure; whether a 404 was deserved is for KeyWatch to say.
http.setResponseCallback(http.expectedStatuses({ min: 200, max: 399 }, 404, 412, 416));

export const sha256 = (bytes: ArrayBuffer): string => crypto.sha256(bytes, 'hex');

let lastDigest = { key: '', generation: 0, size: 0, sha256: '' };
/** Remembers one: a large body is read right after it was written. */
export const expectedDigest: ExpectedDigest = (key, generation, size) => {
  const known = lastDigest;
  if (known.key !== key || known.generation !== generation || known.size !== size) lastDigest = { key, generation, size, sha256: sha256(payload(key, generation, size)) };
  return lastDigest.sha256;
};

export class GatewayStore implements StoreClient {
  /** Of the last request, until the last byte of its answer. */
  lastMilliseconds = 0;
  /** Further attempts at the same thing don't count as unavailable again. */
  isRetrying = false;
  #turn = 0;
  #refusals = 0;
  readonly #timeoutMs: number;
  readonly #leftOutUntil = new Map<string, number>();

  constructor(timeoutMs: number = profile.timeout) {
    this.#timeoutMs = timeoutMs;
  }

  // k6 does one thing at a time in a virtual user, so a promise is only the shape that Node's client needs.
  put(name: string, generation: number, body: ArrayBuffer, headers: Readonly<Record<string, string>> = {}): Promise<WriteAnswer> {
    const response = this.send('put', 'PUT', name, body, { ...headers, [GENERATION_HEADER]: String(generation) });
    const answer = writeAnswer(this.#note('put', response));
    if (answer.kind === 'acknowledged') {
      ackedPuts.add(1);
      logAcked(name, generation, answer.version);
    } else if (answer.kind === 'unknown') unknownWrites.add(1);
    return Promise.resolve(answer);
  }

  get(name: string, tags: Readonly<Record<string, string>> = {}): Promise<ReadAnswer> {
    const response = this.send('get', 'GET', name, null, {}, { responseType: 'binary', tags });
    return Promise.resolve(readAnswer(this.#note('get', response), () => {
      const bytes = response.body as ArrayBuffer;
      return { size: bytes.byteLength, sha256: sha256(bytes) };
    }));
  }

  remove(name: string): Promise<WriteAnswer> {
    const answer = writeAnswer(this.#note('delete', this.send('delete', 'DELETE', name, null)));
    if (isAckedLogged && answer.kind !== 'not-applied') console.log(removedLine(name));
    if (answer.kind === 'unknown') unknownWrites.add(1);
    return Promise.resolve(answer);
  }

  /** One request to whichever gateway is next; a name of `''` is the collection. */
  send(operation: Operation, method: Method, name: string, body: ArrayBuffer | null, headers: Readonly<Record<string, string>> = {}, more: { readonly query?: string; readonly tags?: Readonly<Record<string, string>>; readonly responseType?: ResponseType } = {}): Response {
    const path = `${OBJECTS}${name === '' ? '' : `/${name}`}${more.query ?? ''}`;
    const params: Params = {
      headers: token === '' ? { ...headers } : { ...headers, authorization: `Bearer ${token}` },
      tags: { ...more.tags, op: operation, name: name === '' ? OBJECTS : OBJECT_ROUTE },
      timeout: this.#timeoutMs,
      redirects: 0,
      responseType: more.responseType ?? 'text',
    };
    for (let attempt = 1; ; attempt++) {
      const url = this.#nextUrl();
      const response = http.request(method, url + path, body, params);
      if (!isUnsent(response.error_code)) return response;
      this.#leftOutUntil.set(url, Date.now() + LEFT_OUT_MS);
      if (attempt >= baseUrls.length) return response;
    }
  }

  #nextUrl(): string {
    const now = Date.now();
    for (let i = 0; i < baseUrls.length; i++) {
      const url = baseUrls[(exec.vu.idInTest + this.#turn++) % baseUrls.length] ?? '';
      if ((this.#leftOutUntil.get(url) ?? 0) <= now) return url;
    }
    return baseUrls[(exec.vu.idInTest + this.#turn) % baseUrls.length] ?? '';
  }

  #note(operation: Operation, response: Response): HttpAnswer {
    const answer = httpAnswer(response);
    this.lastMilliseconds = response.timings.duration;
    if (!this.isRetrying) unavailable.add(isUnavailable(answer));
    if (isWithoutRetryAfter(answer)) failuresWithoutRetryAfter.add(1);
    if (isUnavailable(answer) && isAckedLogged && answer.error !== GIVEN_UP && this.#refusals++ < REFUSALS_TOLD_MAX) console.log(refusedLine(operation, describe(answer)));
    return answer;
  }
}

export function httpAnswer(response: Response): HttpAnswer {
  // A body that broke off has the status of its head, and an error.
  const isBroken = response.status < 400 && response.error_code !== 0;
  return {
    status: isBroken ? 0 : response.status,
    mayHaveArrived: !isUnsent(response.error_code),
    header: (name) => response.headers[canonical(name)] ?? null,
    text: () => {
      const { body } = response;
      return body === null ? '' : typeof body === 'string' ? body : String.fromCharCode(...new Uint8Array(body.slice(0, 2000)));
    },
    error: response.error,
  };
}

/** For the starter, which makes of it what `verify` reads. */
export function logAcked(key: string, generation: number, version: string | null): void {
  if (isAckedLogged && version !== null) console.log(ackedLine(key, generation, version));
}

/** As Go writes header names. */
function canonical(name: string): string {
  return name.toLowerCase().replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase());
}
