/**
 * The Range header: which bytes of an object of a known size are asked for. One range is served; several, other units
 * and what can't be read are answered with the whole, which is always allowed and never wrong.
 * Source: [RFC 9110] "Range Requests", "Byte Ranges".
 */
import type { ByteRange } from '../domain/object-operation.ts';

export type RangeChoice = { readonly kind: 'whole' } | { readonly kind: 'part'; readonly range: ByteRange } | { readonly kind: 'unsatisfiable' };

const WHOLE: RangeChoice = { kind: 'whole' };
const ONE_RANGE = /^bytes=[ \t]*(?:(\d+)-(\d*)|-(\d+))[ \t]*$/i;

/** `size`: bytes of the object. */
export function byteRange(header: string | undefined, size: number): RangeChoice {
  const match = header === undefined ? null : ONE_RANGE.exec(header);
  if (match === null) return WHOLE;
  const [, first = '', last = '', suffix = ''] = match;
  if (suffix !== '') {
    const length = Math.min(Number(suffix), size);
    if (Number(suffix) === 0) return { kind: 'unsatisfiable' };
    // The last bytes of nothing are satisfiable, but no Content-Range could say so.
    return length === 0 ? WHOLE : { kind: 'part', range: { offset: size - length, length } };
  }
  const offset = Number(first);
  if (last !== '' && Number(last) < offset) return WHOLE;
  if (offset >= size) return { kind: 'unsatisfiable' };
  const end = last === '' ? size : Math.min(Number(last) + 1, size);
  return { kind: 'part', range: { offset, length: end - offset } };
}
