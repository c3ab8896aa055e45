/** Puts and gets of any size over HTTP, nothing of them held in memory. A broken connection rejects. */
import { createHash } from 'node:crypto';
import { Agent, request, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Source } from './sources.ts';

/** Milliseconds without a byte after which a transfer counts as hung. */
const IDLE_MS = 35_000;
const agent = new Agent({ keepAlive: true, maxSockets: 256 });

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export interface Received {
  readonly status: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** `isLengthKnown`: announced by Content-Length, otherwise chunked. */
export async function putSource(url: string, source: Source, headers: OutgoingHttpHeaders, isLengthKnown: boolean): Promise<Answer> {
  const call = request(url, { method: 'PUT', agent, headers: isLengthKnown ? { ...headers, 'content-length': source.size } : headers });
  call.setTimeout(IDLE_MS, () => { call.destroy(new Error('no progress')); });
  const answered = new Promise<Answer>((resolve, reject) => {
    call.once('error', reject);
    call.once('response', (response) => {
      text(response).then((body) => { resolve({ status: response.statusCode ?? 0, text: body }); }, reject);
    });
  });
  // An early answer (no quorum) ends the sending; the answer is what counts.
  const sent = pipeline(source.open(), call);
  sent.catch(() => undefined);
  return await answered;
}

export async function getDigest(url: string): Promise<Received> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const call = request(url, { agent }, resolve);
    call.setTimeout(IDLE_MS, () => { call.destroy(new Error('no progress')); });
    call.once('error', reject);
    call.end();
  });
  const digest = createHash('sha256');
  let bytes = 0;
  for await (const piece of response) {
    digest.update(piece as Buffer);
    bytes += (piece as Buffer).length;
  }
  return { status: response.statusCode ?? 0, bytes, sha256: digest.digest('hex') };
}

async function text(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString('utf8');
}
