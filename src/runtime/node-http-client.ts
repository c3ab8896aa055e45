/** The HttpClient door on node:http and node:https: not fetch, which rewrites paths with dot segments. */
import * as http from 'node:http';
import * as https from 'node:https';
import type { HttpClient, HttpRequest, HttpResponse } from '../ports/http-client.ts';

export class NodeHttpClient implements HttpClient {
  readonly #bytesMax: number;

  /** `bytesMax`: of an answer's body. */
  constructor(options: { readonly bytesMax: number }) {
    this.#bytesMax = options.bytesMax;
  }

  send({ method, url, headers, body, idleTimeoutMs }: HttpRequest): Promise<HttpResponse> {
    return new Promise((resolve, reject) => {
      const match = /^(https?):\/\/([^/?#]+)(.*)$/.exec(url);
      if (match === null) {
        reject(new Error(`${url} is no http URL`));
        return;
      }
      const { hostname, port } = new URL(`${match[1] ?? ''}://${match[2] ?? ''}`);
      const client = match[1] === 'https' ? https : http;
      const fail = (error: NodeJS.ErrnoException | AggregateError): void => reject(new Error(`no answer from ${match[1] ?? ''}://${match[2] ?? ''} (${reasonOf(error)})`, { cause: error }));
      const request = client.request(
        {
          method,
          hostname: hostname.replace(/^\[|\]$/g, ''),
          port: port === '' ? undefined : port,
          path: match[3] === '' ? '/' : match[3],
          headers: { ...headers, ...(body !== null && { 'content-length': body.length }) },
          timeout: idleTimeoutMs,
        },
        (response) => {
          const chunks: Buffer[] = [];
          let byteCount = 0;
          response.on('data', (chunk: Buffer) => {
            byteCount += chunk.length;
            if (byteCount <= this.#bytesMax) {
              chunks.push(chunk);
              return;
            }
            fail(new Error(`the answer is longer than ${this.#bytesMax} bytes`));
            request.destroy();
          });
          response.on('error', fail);
          response.on('end', () => {
            if (!response.complete) return fail(new Error('the answer broke off'));
            const answerHeaders = new Map(Object.entries(response.headers).map(([name, value]) => [name, String(value)]));
            resolve({ status: response.statusCode ?? 0, headers: answerHeaders, body: Buffer.concat(chunks) });
          });
        },
      );
      request.on('timeout', () => request.destroy(new Error(`nothing came for ${idleTimeoutMs / 1000} s`)));
      request.on('error', fail);
      request.end(body ?? undefined);
    });
  }
}

function reasonOf(error: NodeJS.ErrnoException | AggregateError): string {
  if (error instanceof AggregateError) return error.errors.map((one: unknown) => (one instanceof Error ? one.message : String(one))).join(', ');
  return error.message;
}
