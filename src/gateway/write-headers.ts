/**
 * What a PUT or DELETE says in its headers: condition, content type, user metadata, digests, idempotency key. A
 * condition that can't be honoured is refused, never ignored: its sender relies on it not to lose an update.
 * Source: [RFC 9110] "Preconditions", "PUT".
 */
import { hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { OpId } from '../domain/ids.ts';
import { ID_HEX_LENGTH } from '../domain/ids.ts';
import { CONTENT_TYPE_BYTES_MAX, META_BYTES_MAX } from '../domain/limits.ts';
import type { WriteCondition } from '../domain/object-operation.ts';
import { announcedDigests, type AnnouncedDigest } from './body-digest.ts';
import { parseEntityTags } from './entity-tag.ts';

export interface WriteHeaders {
  readonly condition: WriteCondition;
  readonly opId: OpId | null;
}

export interface PutHeaders extends WriteHeaders {
  readonly contentType: string;
  readonly meta: readonly (readonly [string, string])[];
  readonly digests: readonly AnnouncedDigest[];
}

const META_PREFIX = 'x-dht-meta-';
const CONTENT_TYPE_DEFAULT = 'application/octet-stream';
/** Characters of an Idempotency-Key; a UUID has 36. */
const IDEMPOTENCY_KEY_MAX = 256;
const NO_CONDITION: WriteCondition = { kind: 'none' };
const NO_META: readonly (readonly [string, string])[] = [];

/** The headers' meaning, or a sentence that says which one is wrong. */
export function putHeaders(headers: IncomingHttpHeaders): PutHeaders | string {
  const write = writeHeaders(headers, 'PUT');
  if (typeof write === 'string') return write;
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') return 'Content-Encoding is not kept; send the body as it is to be stored.';
  if (headers['content-range'] !== undefined) return 'Content-Range is not allowed; a PUT replaces the whole object.';
  const contentType = headers['content-type'] ?? CONTENT_TYPE_DEFAULT;
  const typeBytes = Buffer.byteLength(contentType);
  if (typeBytes > CONTENT_TYPE_BYTES_MAX) return `Content-Type has ${typeBytes} bytes, at most ${CONTENT_TYPE_BYTES_MAX} are allowed.`;
  const meta = userMeta(headers);
  if (typeof meta === 'string') return meta;
  const digests = announcedDigests(headers);
  if (typeof digests === 'string') return digests;
  return { condition: write.condition, opId: write.opId, contentType, meta, digests };
}

export function writeHeaders(headers: IncomingHttpHeaders, method: 'PUT' | 'DELETE'): WriteHeaders | string {
  const condition = writeCondition(headers, method);
  if (typeof condition === 'string') return condition;
  const key = headers['idempotency-key'];
  if (key === undefined) return { condition, opId: null };
  if (typeof key !== 'string' || key.length === 0 || key.length > IDEMPOTENCY_KEY_MAX) return `Idempotency-Key has to be 1 to ${IDEMPOTENCY_KEY_MAX} characters.`;
  return { condition, opId: hash('sha256', `${method} ${key}`, 'hex').slice(0, ID_HEX_LENGTH) as OpId };
}

function writeCondition(headers: IncomingHttpHeaders, method: 'PUT' | 'DELETE'): WriteCondition | string {
  const ifMatch = headers['if-match'];
  const ifNoneMatch = headers['if-none-match'];
  if (headers['if-unmodified-since'] !== undefined) return 'If-Unmodified-Since is not supported on writes, times are too coarse; use If-Match with the ETag.';
  if (ifMatch === undefined && ifNoneMatch === undefined) return NO_CONDITION;
  if (ifMatch !== undefined && ifNoneMatch !== undefined) return 'If-Match and If-None-Match exclude each other.';
  if (ifNoneMatch !== undefined) {
    return method === 'PUT' && ifNoneMatch.trim() === '*' ? { kind: 'absent' } : 'If-None-Match is supported on PUT alone, and only as "*" (create, never replace).';
  }
  const tags = parseEntityTags(ifMatch ?? '');
  if (tags === null) return 'If-Match is neither "*" nor a list of quoted entity tags.';
  return tags.kind === 'any' ? { kind: 'present' } : { kind: 'version', versions: tags.versions };
}

function userMeta(headers: IncomingHttpHeaders): readonly (readonly [string, string])[] | string {
  let meta: (readonly [string, string])[] | null = null;
  let byteCount = 0;
  for (const header in headers) {
    if (!header.startsWith(META_PREFIX)) continue;
    const name = header.slice(META_PREFIX.length);
    const value = String(headers[header]);
    if (name === '') return `${META_PREFIX} has no name behind it.`;
    byteCount += name.length + Buffer.byteLength(value);
    (meta ??= []).push([name, value]);
  }
  if (byteCount > META_BYTES_MAX) return `${META_PREFIX}* headers have ${byteCount} bytes of names and values, at most ${META_BYTES_MAX} are allowed.`;
  return meta ?? NO_META;
}
