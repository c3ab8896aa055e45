/** GET /v1/objects: one page of names over the whole ring, as JSON. */
import { assertNever } from '../domain/assert.ts';
import { LIST_PAGE_MAX, NAME_BYTES_MAX } from '../domain/limits.ts';
import type { ListRequest } from '../domain/object-operation.ts';
import type { NodeService } from '../node/node-service.ts';
import type { Exchange } from './exchange.ts';
import { parseQueryText } from './object-name.ts';
import { rawQueryValue } from './request-target.ts';

/** Bytes of a cursor: room for a name and what goes with it, whatever the encoding. */
const CURSOR_BYTES_MAX = 4 * NAME_BYTES_MAX;

export async function listObjects(exchange: Exchange, node: NodeService, query: string): Promise<void> {
  const request = parseListing(query);
  if (typeof request === 'string') return exchange.refuse('DHT_ERR_REQUEST_INVALID', request);
  const outcome = await node.objects.list(request);
  switch (outcome.kind) {
    case 'page': {
      const { objects, commonPrefixes, cursor } = outcome;
      return exchange.answerJson({ objects, commonPrefixes, ...(cursor !== null && { cursor }) });
    }
    case 'failed':
      return exchange.problem(outcome.code, outcome.detail);
    default:
      return assertNever(outcome);
  }
}

/** What is asked for, or which parameter is wrong. */
function parseListing(query: string): ListRequest | string {
  const text = (name: string, bytesMax: number): string | null => parseQueryText(rawQueryValue(query, name) ?? '', bytesMax);
  const prefix = text('prefix', NAME_BYTES_MAX);
  if (prefix === null) return `prefix is no UTF-8 of at most ${NAME_BYTES_MAX} bytes.`;
  const delimiter = text('delimiter', NAME_BYTES_MAX);
  if (delimiter === null) return `delimiter is no UTF-8 of at most ${NAME_BYTES_MAX} bytes.`;
  const cursor = text('cursor', CURSOR_BYTES_MAX);
  if (cursor === null) return 'cursor is not one that this route gave.';
  const limitText = rawQueryValue(query, 'limit') ?? String(LIST_PAGE_MAX);
  const limit = /^\d{1,6}$/.test(limitText) ? Number(limitText) : 0;
  if (limit < 1 || limit > LIST_PAGE_MAX) return `limit is no integer from 1 to ${LIST_PAGE_MAX}.`;
  return { prefix, delimiter: delimiter === '' ? null : delimiter, limit, cursor: cursor === '' ? null : cursor };
}
