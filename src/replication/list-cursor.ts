/**
 * Where a page of a listing ended, as an opaque text: version, kind, and the last name or common prefix, in base64url. The
 * next page begins behind that name, or behind all names with that prefix, whatever was put or deleted in between: so no
 * name comes twice, and none that was there all the time is left out.
 */
import { behindPrefix } from '../domain/name-order.ts';
import { NAME_BYTES_MAX } from '../domain/limits.ts';

/** The last of what a listing is through with. */
export type ListPoint =
  | { readonly kind: 'name'; readonly text: string }
  /** All names that begin with it. */
  | { readonly kind: 'prefix'; readonly text: string };

/** The first name that may be listed; null: nothing can follow. */
export type ListFrom = { readonly name: string; readonly isInclusive: boolean } | null;

const VERSION = 1;
const KINDS = ['name', 'prefix'] as const;
/** Names are UTF-8: another sequence of bytes is no cursor of ours. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function cursorText(point: ListPoint): string {
  return Buffer.concat([Buffer.from([VERSION, KINDS.indexOf(point.kind)]), Buffer.from(point.text)]).toString('base64url');
}

/** Null: no cursor of ours. */
export function parseCursor(cursor: string): ListPoint | null {
  const bytes = Buffer.from(cursor, 'base64url');
  const kind = KINDS[bytes[1] ?? KINDS.length];
  if (bytes[0] !== VERSION || kind === undefined || bytes.length > 2 + NAME_BYTES_MAX || bytes.toString('base64url') !== cursor) return null;
  try {
    return { kind, text: UTF8.decode(bytes.subarray(2)) };
  } catch {
    return null;
  }
}

/** Where a listing goes on behind the point. */
export function behind(point: ListPoint): ListFrom {
  if (point.kind === 'name') return { name: point.text, isInclusive: false };
  const next = behindPrefix(point.text);
  if (next === null) return null;
  // A prefix as long as a name can be has one name at most: itself.
  return Buffer.byteLength(next) > NAME_BYTES_MAX ? { name: point.text, isInclusive: false } : { name: next, isInclusive: true };
}

/** The common prefix under which a name is shown; null: under its own name. */
export function commonPrefix(name: string, prefix: string, delimiter: string | null): string | null {
  const at = delimiter === null ? -1 : name.indexOf(delimiter, prefix.length);
  return at < 0 || delimiter === null ? null : name.slice(0, at + delimiter.length);
}
