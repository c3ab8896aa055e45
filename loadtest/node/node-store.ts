/** The gateway as plain Node sees it, with fetch; small bodies only. Requests go round the gateways. */
import { createHash } from 'node:crypto';
import { GENERATION_HEADER, readAnswer, writeAnswer, type HttpAnswer, type ReadAnswer, type WriteAnswer } from '../lib/answers.ts';
import type { StoreClient } from '../lib/journeys.ts';
import type { ExpectedDigest } from '../lib/key-watch.ts';
import { payload } from '../lib/payload.ts';

const TIMEOUT_MS = 15_000;

export function sha256(bytes: ArrayBuffer): string {
  return createHash('sha256').update(new Uint8Array(bytes)).digest('hex');
}

export const expectedDigest: ExpectedDigest = (key, generation, size) => sha256(payload(key, generation, size));

export class NodeStore implements StoreClient {
  /** Requests that failed in another way than 404 and 412. */
  failures = 0;
  readonly #urls: readonly string[];
  readonly #headers: Readonly<Record<string, string>>;
  #turn: number;

  constructor(urls: readonly string[], token: string, first = 0) {
    this.#urls = urls;
    this.#headers = token === '' ? {} : { authorization: `Bearer ${token}` };
    this.#turn = first;
  }

  async put(name: string, generation: number, body: ArrayBuffer): Promise<WriteAnswer> {
    return writeAnswer((await this.#send('PUT', name, body, { [GENERATION_HEADER]: String(generation) })).answer);
  }

  async get(name: string): Promise<ReadAnswer> {
    const { answer, body } = await this.#send('GET', name, null, {});
    return readAnswer(answer, () => ({ size: body.byteLength, sha256: sha256(body) }));
  }

  async remove(name: string): Promise<WriteAnswer> {
    return writeAnswer((await this.#send('DELETE', name, null, {})).answer);
  }

  async #send(method: string, name: string, body: ArrayBuffer | null, headers: Readonly<Record<string, string>>): Promise<Received> {
    const url = `${this.#urls[this.#turn++ % this.#urls.length] ?? ''}/v1/objects/${name}`;
    const result = await fetch(url, { method, body, headers: { ...this.#headers, ...headers }, signal: AbortSignal.timeout(TIMEOUT_MS) }).then(received).catch(noAnswer);
    const { status } = result.answer;
    if (status === 0 || (status >= 400 && status !== 404 && status !== 412)) this.failures += 1;
    return result;
  }
}

interface Received {
  readonly answer: HttpAnswer;
  readonly body: ArrayBuffer;
}

/** Rejects when the body breaks off. */
async function received(response: Response): Promise<Received> {
  const body = await response.arrayBuffer();
  return { answer: { status: response.status, mayHaveArrived: true, header: (name) => response.headers.get(name), text: () => Buffer.from(body).toString(), error: '' }, body };
}

function noAnswer(error: unknown): Received {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const text = cause instanceof Error ? cause.message : String(cause);
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return { answer: { status: 0, mayHaveArrived: code !== 'ECONNREFUSED' && code !== 'ENOTFOUND', header: () => null, text: () => '', error: text }, body: new ArrayBuffer(0) };
}
