/**
 * The requests of the canary, each sent once to a gateway taken at random: a retry would hide what it is there to see.
 * What an answer means for the object is decided here. Whatever might have been applied is unknown: a time-out, a broken
 * connection, an answer that doesn't say. A refused connection and a node's own "not-applied" changed nothing.
 */
import type { HttpClient, HttpRequest, HttpResponse } from '../ports/http-client.ts';
import type { Random } from '../ports/random.ts';

export type ReadAnswer =
  | { readonly kind: 'body'; readonly body: Buffer; readonly etag: string }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unavailable'; readonly reason: string }
  | { readonly kind: 'error'; readonly reason: string };

export type WriteAnswer =
  /** `etag` null: of a delete, or an answer that doesn't name it. */
  | { readonly kind: 'ok'; readonly etag: string | null }
  /** A condition didn't hold: not applied. */
  | { readonly kind: 'conflict' }
  /** unavailable, error: certainly not applied. */
  | { readonly kind: 'unavailable' | 'unknown' | 'error'; readonly reason: string };

/** What has to be there for a write to apply: a version, nothing, or whatever is there. */
export type Condition = { readonly kind: 'etag'; readonly etag: string } | { readonly kind: 'absent' } | { readonly kind: 'none' };

export interface RequestOptions {
  /** `http://host:port`, without a final slash. */
  readonly gateways: readonly string[];
  readonly token: string | null;
  /** Milliseconds without a byte. */
  readonly timeoutMs: number;
}

const NEVER_CONNECTED = /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH/;

export class CanaryRequests {
  readonly #http: HttpClient;
  readonly #random: Random;
  readonly #options: RequestOptions;

  constructor(deps: { readonly http: HttpClient; readonly random: Random }, options: RequestOptions) {
    this.#http = deps.http;
    this.#random = deps.random;
    this.#options = options;
  }

  async read(name: string): Promise<ReadAnswer> {
    let answer: HttpResponse;
    try {
      answer = await this.#send('GET', name, {}, null);
    } catch (error) {
      return { kind: 'unavailable', reason: textOf(error) };
    }
    const { status, headers, body } = answer;
    if (status === 200) return { kind: 'body', body, etag: headers.get('etag') ?? '' };
    if (status === 404 && problemOf(answer).code === 'DHT_ERR_NOT_FOUND') return { kind: 'absent' };
    return { kind: status >= 500 ? 'unavailable' : 'error', reason: reasonOf(answer) };
  }

  async store(name: string, body: Buffer, digest: string, condition: Condition): Promise<WriteAnswer> {
    return await this.#write('PUT', name, { 'content-digest': digest, ...headersOf(condition) }, body);
  }

  async remove(name: string, condition: Condition): Promise<WriteAnswer> {
    return await this.#write('DELETE', name, headersOf(condition), null);
  }

  /** A page of the names that begin with a prefix; null: none came. */
  async names(prefix: string): Promise<readonly string[] | null> {
    try {
      const { status, body } = await this.#send('GET', '', {}, null, `?prefix=${encodeURIComponent(prefix)}`);
      if (status !== 200) return null;
      const { objects } = JSON.parse(body.toString('utf8')) as { readonly objects: readonly { readonly name: string }[] };
      return objects.map(({ name }) => name);
    } catch {
      return null;
    }
  }

  async #write(method: 'PUT' | 'DELETE', name: string, headers: Readonly<Record<string, string>>, body: Buffer | null): Promise<WriteAnswer> {
    let answer: HttpResponse;
    try {
      answer = await this.#send(method, name, headers, body);
    } catch (error) {
      const reason = textOf(error);
      return { kind: NEVER_CONNECTED.test(reason) ? 'unavailable' : 'unknown', reason };
    }
    const { status } = answer;
    if (status === 200 || status === 201 || status === 204) return { kind: 'ok', etag: answer.headers.get('etag') ?? null };
    if (status === 412) return { kind: 'conflict' };
    const reason = reasonOf(answer);
    if (problemOf(answer).outcome === 'not-applied') return { kind: status >= 500 ? 'unavailable' : 'error', reason };
    return { kind: status >= 500 ? 'unknown' : 'error', reason };
  }

  #send(method: HttpRequest['method'], name: string, headers: Readonly<Record<string, string>>, body: Buffer | null, query = ''): Promise<HttpResponse> {
    const { gateways, token, timeoutMs } = this.#options;
    const gateway = gateways[this.#random.below(gateways.length)] ?? '';
    const path = name === '' ? '' : `/${encodeURIComponent(name).replaceAll('%2F', '/')}`;
    const authorization = token === null ? {} : { authorization: `Bearer ${token}` };
    return this.#http.send({ method, url: `${gateway}/v1/objects${path}${query}`, headers: { ...authorization, ...headers }, body, idleTimeoutMs: timeoutMs });
  }
}

function headersOf(condition: Condition): Readonly<Record<string, string>> {
  switch (condition.kind) {
    case 'etag':
      return { 'if-match': condition.etag };
    case 'absent':
      return { 'if-none-match': '*' };
    case 'none':
      return {};
  }
}

function problemOf({ body }: HttpResponse): { readonly code?: unknown; readonly outcome?: unknown } {
  try {
    const problem: unknown = JSON.parse(body.toString('utf8'));
    return typeof problem === 'object' && problem !== null ? problem : {};
  } catch {
    return {};
  }
}

function reasonOf(answer: HttpResponse): string {
  const { code } = problemOf(answer);
  return typeof code === 'string' ? code : `HTTP status ${answer.status}`;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
