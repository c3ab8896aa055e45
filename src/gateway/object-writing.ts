/**
 * PUT and DELETE of an object. A body announced as small is collected and handed over whole, for that is the fast way;
 * every other one is a source that the node pulls.
 *
 * Invariants: a body over the limit is refused before it is read when its length is known; one that breaks off or hasn't
 * its announced digest never becomes visible; every failed write says whether it may be there.
 */
import { INLINE_BODY_BYTES_MAX } from '../domain/limits.ts';
import type { PutOutcome } from '../domain/object-operation.ts';
import type { NodeService } from '../node/node-service.ts';
import { announcedLength, collectBody } from './body-collector.ts';
import { DigestCheck, digestMismatch } from './body-digest.ts';
import type { Exchange } from './exchange.ts';
import { RequestBody } from './request-body.ts';
import { putHeaders, writeHeaders, type PutHeaders } from './write-headers.ts';

export async function putObject(exchange: Exchange, node: NodeService, name: string, bytesMax: number): Promise<void> {
  const { req } = exchange;
  const headers = putHeaders(req.headers);
  if (typeof headers === 'string') return exchange.refuse('DHT_ERR_REQUEST_INVALID', headers);
  const length = announcedLength(req);
  if (length === null && req.headers['transfer-encoding'] === undefined) return exchange.refuse('DHT_ERR_LENGTH_REQUIRED', 'The request has neither Content-Length nor Transfer-Encoding.');
  if (length !== null && length > bytesMax) return refuseTooLarge(exchange, `Content-Length is ${length}`, bytesMax);
  if (length !== null && length <= INLINE_BODY_BYTES_MAX) await putCollected(exchange, node, name, headers);
  else await putPulled(exchange, node, name, headers, length, bytesMax);
}

export async function deleteObject(exchange: Exchange, node: NodeService, name: string): Promise<void> {
  const headers = writeHeaders(exchange.req.headers, 'DELETE');
  if (typeof headers === 'string') return exchange.refuse('DHT_ERR_REQUEST_INVALID', headers);
  const outcome = await node.objects.delete({ name, condition: headers.condition, opId: headers.opId, isAwaited: exchange.isAwaited });
  if (outcome.kind !== 'deleted') return exchange.writeFailed(outcome);
  exchange.answer(204, ['x-request-id', exchange.requestId], null);
}

async function putCollected(exchange: Exchange, node: NodeService, name: string, headers: PutHeaders): Promise<void> {
  const body = await collectBody(exchange.req, exchange.res, INLINE_BODY_BYTES_MAX);
  if (body.kind !== 'body') return exchange.metrics.aborted('upload');
  exchange.received(body.bytes.length);
  const mismatch = digestMismatch(body.bytes, headers.digests);
  if (mismatch !== null) return exchange.refuse('DHT_ERR_DIGEST_MISMATCH', mismatch);
  const { contentType, meta, condition, opId } = headers;
  answerPut(exchange, await node.objects.put({ name, body: body.bytes, contentType, meta, condition, opId, isAwaited: exchange.isAwaited }));
}

async function putPulled(exchange: Exchange, node: NodeService, name: string, headers: PutHeaders, expectedSize: number | null, bytesMax: number): Promise<void> {
  const { contentType, meta, condition, opId } = headers;
  const check = new DigestCheck(headers.digests);
  const source = new RequestBody(exchange.req, exchange.res, {
    bytesMax,
    onBytes: (bytes) => {
      check.update(bytes);
      exchange.received(bytes.length);
    },
  });
  const verify = (): { code: 'DHT_ERR_DIGEST_MISMATCH'; detail: string } | null => {
    const detail = check.mismatch();
    return detail === null ? null : { code: 'DHT_ERR_DIGEST_MISMATCH', detail };
  };
  let outcome: PutOutcome | null = null;
  try {
    outcome = await node.objects.putStream({ name, source, expectedSize, verify, contentType, meta, condition, opId, isAwaited: exchange.isAwaited });
  } catch (error) {
    if (source.failure === null) throw error;
  } finally {
    source.release();
  }
  if (source.failure === 'broken') return exchange.metrics.aborted('upload');
  if (source.failure === 'too-large' || outcome === null) return refuseTooLarge(exchange, 'The body is longer', bytesMax);
  answerPut(exchange, outcome);
}

function answerPut(exchange: Exchange, outcome: PutOutcome): void {
  if (outcome.kind !== 'stored') return exchange.writeFailed(outcome);
  const { receipt } = outcome;
  const answer = Buffer.from(`${JSON.stringify(receipt)}\n`);
  exchange.answer(outcome.isCreated ? 201 : 200, ['content-type', 'application/json', 'content-length', String(answer.length), 'etag', receipt.etag, 'x-dht-version', receipt.version, 'x-request-id', exchange.requestId], answer);
}

function refuseTooLarge(exchange: Exchange, what: string, bytesMax: number): void {
  exchange.metrics.rejected('too_large');
  exchange.refuse('DHT_ERR_TOO_LARGE', `${what}, at most ${bytesMax} bytes are stored.`);
}
