/**
 * An object's name out of a raw request target: percent-decoded exactly once, checked as bytes. It is not taken from a
 * router's parameters, for routers decode twice, merge slashes or answer a bad "%" with a page of their own.
 *
 * Invariants: what is accepted is 1 to 1024 bytes of UTF-8 without NUL, and re-encoding it gives the same name on every
 * node. "." and ".." segments are refused however they are written, because many clients silently rewrite such paths.
 * Cost: a plain ASCII name is not copied. Source: [RFC 3986] "Percent-Encoding", "Remove Dot Segments".
 */
import type { ErrorCode } from '../domain/error-catalogue.ts';
import { NAME_BYTES_MAX } from '../domain/limits.ts';

export type NameOutcome =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly detail: string };

const PLAIN = /^[!$&-;=@-Z_a-z~[\]]*$/;
const DOT_SEGMENT = /(?:^|\/)\.\.?(?:\/|$)/;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const refused = (code: ErrorCode, detail: string): NameOutcome => ({ kind: 'refused', code, detail });

/** `encoded`: as on the wire, each character one byte. */
export function parseObjectName(encoded: string): NameOutcome {
  if (encoded.length === 0) return refused('DHT_ERR_NAME_EMPTY', 'The name has no bytes.');
  // Each byte is at most three characters; far above that nothing needs decoding.
  if (encoded.length > 3 * NAME_BYTES_MAX) return refused('DHT_ERR_NAME_TOO_LONG', `The name has more than ${NAME_BYTES_MAX} bytes.`);
  let name = encoded;
  let byteCount = encoded.length;
  if (!PLAIN.test(encoded)) {
    const bytes = percentDecode(encoded);
    if (typeof bytes === 'string') return refused('DHT_ERR_NAME_INVALID', bytes);
    byteCount = bytes.length;
    if (bytes.includes(0)) return refused('DHT_ERR_NAME_INVALID', 'The name has a NUL byte.');
    try {
      name = UTF8.decode(bytes);
    } catch {
      return refused('DHT_ERR_NAME_INVALID', 'The name is not valid UTF-8 after percent-decoding.');
    }
  }
  return checkedName(name, byteCount);
}

/** A name that comes as text, from a form. */
export function objectName(text: string): NameOutcome {
  if (text === '') return refused('DHT_ERR_NAME_EMPTY', 'The name has no bytes.');
  if (text.includes('\0')) return refused('DHT_ERR_NAME_INVALID', 'The name has a NUL byte.');
  // What a decoder leaves where bytes were no UTF-8.
  if (text.includes('\ufffd') || !text.isWellFormed()) return refused('DHT_ERR_NAME_INVALID', 'The name is not valid UTF-8.');
  return checkedName(text, Buffer.byteLength(text));
}

/** The text of a query parameter, percent-decoded once; null when it isn't UTF-8 of at most `bytesMax` bytes. */
export function parseQueryText(encoded: string, bytesMax: number): string | null {
  if (encoded.length > 3 * bytesMax) return null;
  const bytes = percentDecode(encoded);
  if (typeof bytes === 'string' || bytes.length > bytesMax) return null;
  try {
    return UTF8.decode(bytes);
  } catch {
    return null;
  }
}

function checkedName(name: string, byteCount: number): NameOutcome {
  if (byteCount > NAME_BYTES_MAX) return refused('DHT_ERR_NAME_TOO_LONG', `The name has ${byteCount} bytes, at most ${NAME_BYTES_MAX} are allowed.`);
  if (DOT_SEGMENT.test(name)) return refused('DHT_ERR_NAME_DOT_SEGMENT', 'A segment of the name is "." or "..".');
  return { kind: 'name', name };
}

/** The bytes, or what is wrong. */
function percentDecode(encoded: string): Buffer | string {
  const bytes = Buffer.allocUnsafe(encoded.length);
  let length = 0;
  for (let i = 0; i < encoded.length; i++) {
    let byte = encoded.charCodeAt(i);
    if (byte === 0x23) return 'A "#" in the name has to be written %23.';
    if (byte > 0xff) return 'The name has a character that is no byte.';
    if (byte === 0x25) {
      const high = hexDigit(encoded.charCodeAt(i + 1));
      const low = hexDigit(encoded.charCodeAt(i + 2));
      if (high < 0 || low < 0) return 'A "%" in the name is not followed by two hex digits; write %25 for the character itself.';
      byte = high * 16 + low;
      i += 2;
    }
    bytes[length++] = byte;
  }
  return bytes.subarray(0, length);
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
