/**
 * GET and HEAD of an object: conditions first, then a range, then the bytes. Inline bodies leave in one write; large ones
 * piece by piece. The first piece is read before the head is written, so an unreadable object is a clear 503; a failure
 * after that ends with a broken connection, never with a complete-looking short body.
 */
import { assertNever } from '../domain/assert.ts';
import { ballotText } from '../domain/ballot.ts';
import { DhtError } from '../domain/error-catalogue.ts';
import type { ByteRange, GetOutcome } from '../domain/object-operation.ts';
import type { NodeService } from '../node/node-service.ts';
import { byteRange, type RangeChoice } from './byte-range.ts';
import { entityTag } from './entity-tag.ts';
import type { Exchange } from './exchange.ts';
import { isRangeWanted, lastModified, readVerdict } from './read-conditions.ts';
import { rawQueryValue } from './request-target.ts';
import { ResponseBody } from './response-body.ts';

type Found = GetOutcome & { readonly kind: 'found' };

/** Content types that a browser would run; they are served, but sandboxed. */
const ACTIVE_CONTENT = /html|xml|svg|pdf/i;
const WHOLE: RangeChoice = { kind: 'whole' };

export async function readObject(exchange: Exchange, node: NodeService, name: string, query: string, method: 'GET' | 'HEAD'): Promise<void> {
  const consistency = rawQueryValue(query, 'consistency') ?? 'linearizable';
  if (consistency !== 'linearizable' && consistency !== 'one') return exchange.refuse('DHT_ERR_REQUEST_INVALID', `consistency is "${consistency}": allowed is linearizable or one.`);
  const outcome = await node.objects.get({ name, consistency, wantBody: method === 'GET' });
  switch (outcome.kind) {
    case 'found':
      return await answerFound(exchange, outcome, method);
    case 'absent':
      return exchange.problem('DHT_ERR_NOT_FOUND', 'No object has this name.');
    case 'unavailable':
      return exchange.problem(outcome.code, outcome.detail);
    default:
      return assertNever(outcome);
  }
}

async function answerFound(exchange: Exchange, found: Found, method: 'GET' | 'HEAD'): Promise<void> {
  const { headers } = exchange.req;
  const { version, body: { size } } = found.record;
  const verdict = readVerdict(headers, version);
  switch (verdict.kind) {
    case 'go-on':
      break;
    case 'not-modified':
      return exchange.answer(304, validators(exchange, found), null);
    case 'failed':
      return exchange.problem('DHT_ERR_PRECONDITION_FAILED', `The object's ETag is ${entityTag(version)} now.`, { currentEtag: entityTag(version) });
    case 'invalid':
      return exchange.refuse('DHT_ERR_REQUEST_INVALID', verdict.detail);
    default:
      return assertNever(verdict);
  }
  // A range is of GET alone.
  const choice = method === 'GET' && isRangeWanted(headers, version) ? byteRange(headers.range, size) : WHOLE;
  if (choice.kind === 'unsatisfiable') return exchange.problem('DHT_ERR_RANGE_NOT_SATISFIABLE', `The object has ${size} bytes.`, { headers: [['content-range', `bytes */${size}`]] });
  const range = choice.kind === 'part' ? choice.range : { offset: 0, length: size };
  const status = choice.kind === 'part' ? 206 : 200;
  const head = objectHeaders(exchange, found, range, choice);
  if (method === 'HEAD') return exchange.answer(status, head, null);
  if (found.body === null) return await answerPieces(exchange, found, range, status, head);
  exchange.sent(range.length);
  exchange.answer(status, head, choice.kind === 'part' ? found.body.subarray(range.offset, range.offset + range.length) : found.body);
}

async function answerPieces(exchange: Exchange, found: Found, range: ByteRange, status: number, head: string[]): Promise<void> {
  const body = new ResponseBody(exchange.res, found.open(range));
  try {
    const first = await body.next();
    if (!body.isGone) {
      exchange.res.writeHead(status, head);
      if (await body.send(first, range.length, (count) => exchange.sent(count))) return exchange.ended(status);
    }
  } catch (error) {
    body.cancel();
    if (!(error instanceof DhtError)) throw error;
    if (!exchange.res.headersSent) return exchange.problem(error.code, error.message);
    exchange.log.warn('A body could not be read to its end', { requestId: exchange.requestId, code: error.code, detail: error.message });
    exchange.res.destroy();
  }
  exchange.metrics.aborted('download');
}

function validators(exchange: Exchange, { record, isStalePossible }: Found): string[] {
  return [
    'etag', entityTag(record.version),
    'x-dht-version', ballotText(record.version),
    'last-modified', lastModified(record.version),
    // A cache may keep it, but has to ask before it answers with it.
    'cache-control', 'no-cache',
    'x-request-id', exchange.requestId,
    ...(isStalePossible ? ['x-dht-consistency', 'one'] : []),
  ];
}

function objectHeaders(exchange: Exchange, found: Found, range: ByteRange, choice: RangeChoice): string[] {
  const { contentType, body, meta } = found.record;
  const headers = validators(exchange, found);
  headers.push(
    'content-type', contentType,
    'content-length', String(range.length),
    'accept-ranges', 'bytes',
    // Of the whole object, also with a part of it.
    'repr-digest', `sha-256=:${Buffer.from(body.sha256, 'hex').toString('base64')}:`,
    'x-content-type-options', 'nosniff',
  );
  if (choice.kind === 'part') headers.push('content-range', `bytes ${range.offset}-${range.offset + range.length - 1}/${body.size}`);
  if (ACTIVE_CONTENT.test(contentType)) headers.push('content-security-policy', 'sandbox');
  for (const [name, value] of meta) headers.push(`x-dht-meta-${name}`, value);
  return headers;
}
