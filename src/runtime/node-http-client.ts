/** The HttpClient door on node:http and node:https: not fetch, which rewrites paths with dot segments. */
import * as http from 'node:http';
import * as https from 'node:https';
import type { BodyReader } from '../domain/object-operation.ts';
import type { HttpClient, HttpDownload, HttpRequest, HttpResponse, HttpUpload } from '../ports/http-client.ts';

export interface NodeHttpClientOptions {
  /** Of an answer that is collected. */
  readonly bytesMax: number;
  /** Bytes of a body from which on the node is asked first whether it takes it. */
  readonly expectBytesMin: number;
  /** Milliseconds until the body is sent without an answer to that: not every server knows the question. */
  readonly expectTimeoutMs: number;
}

type Fail = (error: Error) => void;

export class NodeHttpClient implements HttpClient {
  readonly #options: NodeHttpClientOptions;

  constructor(options: NodeHttpClientOptions) {
    this.#options = options;
  }

  send(request: HttpRequest): Promise<HttpResponse> {
    return new Promise((resolve, reject) => {
      const { body } = request;
      const sent = open(request, body === null ? {} : { 'content-length': String(body.length) }, reject, (response, fail) => {
        this.#collect(response, resolve, fail);
      });
      sent?.end(body ?? undefined);
    });
  }

  upload(upload: HttpUpload): Promise<HttpResponse> {
    return new Promise((resolve, reject) => {
      const isAskedFirst = upload.size >= this.#options.expectBytesMin;
      const extra = { 'content-length': String(upload.size), ...(isAskedFirst && { expect: '100-continue' }) };
      let isAnswered = false;
      const sent = open(upload, extra, reject, (response, fail) => {
        isAnswered = true;
        this.#collect(response, (answer) => {
          resolve(answer);
          // What was not sent yet never will be, so this connection is of no more use.
          if (!sent?.writableFinished) sent?.destroy();
        }, fail);
      });
      if (sent === null) return;
      const begin = (): void => void pump(upload, sent, () => isAnswered).catch((error: unknown) => {
        reject(error as Error);
        sent.destroy();
      });
      if (isAskedFirst) whenContinued(sent, this.#options.expectTimeoutMs, begin);
      else begin();
    });
  }

  download(request: HttpRequest): Promise<HttpDownload> {
    return new Promise((resolve, reject) => {
      open(request, {}, reject, (response) => {
        resolve({ status: response.statusCode ?? 0, headers: headersOf(response), body: readerOf(response, serverOf(request.url)) });
      })?.end();
    });
  }

  #collect(response: http.IncomingMessage, resolve: (response: HttpResponse) => void, fail: Fail): void {
    const chunks: Buffer[] = [];
    let byteCount = 0;
    response.on('data', (chunk: Buffer) => {
      byteCount += chunk.length;
      if (byteCount <= this.#options.bytesMax) {
        chunks.push(chunk);
        return;
      }
      fail(new Error(`the answer is longer than ${this.#options.bytesMax} bytes`));
      response.destroy();
    });
    response.on('error', fail);
    response.on('end', () => {
      if (!response.complete) return fail(new Error('the answer broke off'));
      resolve({ status: response.statusCode ?? 0, headers: headersOf(response), body: Buffer.concat(chunks) });
    });
  }
}

/** The request with its head; null: it can't be sent. `reject` gets what can be shown. */
function open(
  { method, url, headers, idleTimeoutMs }: Omit<HttpRequest, 'body'>, extra: Record<string, string>, reject: Fail,
  onResponse: (response: http.IncomingMessage, fail: Fail) => void,
): http.ClientRequest | null {
  const match = /^(https?):\/\/([^/?#]+)(.*)$/.exec(url);
  if (match === null) {
    reject(new Error(`${url} is no http URL`));
    return null;
  }
  const { hostname, port } = new URL(serverOf(url));
  const client = match[1] === 'https' ? https : http;
  const fail: Fail = (error) => { reject(noAnswer(serverOf(url), error)); };
  const request = client.request(
    {
      method,
      hostname: hostname.replace(/^\[|\]$/g, ''),
      port: port === '' ? undefined : port,
      path: match[3] === '' ? '/' : match[3],
      headers: { ...headers, ...extra },
      timeout: idleTimeoutMs,
    },
    (response) => { onResponse(response, fail); },
  );
  request.on('timeout', () => request.destroy(new Error(`nothing came for ${idleTimeoutMs / 1000} s`)));
  request.on('error', fail);
  return request;
}

/** Sends the source's bytes, no faster than they are taken; rejects with what the source rejects with. */
async function pump({ source, size }: HttpUpload, request: http.ClientRequest, isAnswered: () => boolean): Promise<void> {
  let sentBytes = 0;
  for (;;) {
    const piece = await source.next();
    if (request.destroyed || isAnswered()) return;
    if (piece === null) break;
    sentBytes += piece.length;
    if (sentBytes > size) break;
    if (!request.write(piece)) await new Promise<void>((resolve) => { whenRoom(request, resolve); });
  }
  if (sentBytes !== size) throw new Error('it changed while it was sent');
  request.end();
}

function whenRoom(request: http.ClientRequest, fn: () => void): void {
  const go = (): void => {
    for (const event of ['drain', 'close', 'response']) request.off(event, go);
    fn();
  };
  for (const event of ['drain', 'close', 'response']) request.on(event, go);
}

/** Runs `fn` once, when the server wants the body or has said nothing for a while; not when it answers otherwise. */
function whenContinued(request: http.ClientRequest, timeoutMs: number, fn: () => void): void {
  const go = (): void => {
    clearTimeout(timer);
    // The server may still ask after that: two that read one source would mix its pieces.
    request.off('continue', go);
    fn();
  };
  const timer = setTimeout(go, timeoutMs);
  request.on('continue', go);
  for (const event of ['response', 'close']) request.on(event, () => { clearTimeout(timer); });
  request.flushHeaders();
}

function readerOf(response: http.IncomingMessage, server: string): BodyReader {
  const pieces = response[Symbol.asyncIterator]();
  return {
    next: async () => {
      try {
        const { value, done } = await pieces.next() as IteratorResult<Buffer, undefined>;
        return done === true ? null : value;
      } catch (error) {
        throw noAnswer(server, error as Error);
      }
    },
    cancel: () => { response.destroy(); },
  };
}

function headersOf(response: http.IncomingMessage): ReadonlyMap<string, string> {
  return new Map(Object.entries(response.headers).map(([name, value]) => [name, String(value)]));
}

/** Scheme, host and port. */
function serverOf(url: string): string {
  return /^https?:\/\/[^/?#]+/.exec(url)?.[0] ?? url;
}

function noAnswer(server: string, error: Error): Error {
  return new Error(`no answer from ${server} (${reasonOf(error)})`, { cause: error });
}

function reasonOf(error: Error): string {
  if (error instanceof AggregateError) return error.errors.map((one: unknown) => (one instanceof Error ? one.message : String(one))).join(', ');
  return error.message;
}
