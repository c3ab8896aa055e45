/**
 * Body collector: reads a body up to the inline limit, to learn whether it is a small one. A large one goes on as a source
 * that gives the collected pieces first, so nothing is copied and nothing is read twice.
 */
import type { BodySource } from '../domain/object-operation.ts';

export type CollectedBody =
  | { readonly kind: 'small'; readonly bytes: Buffer }
  | { readonly kind: 'large'; readonly source: BodySource }
  /** The sender broke off. */
  | { readonly kind: 'broken' };

export async function collectBody(source: BodySource, inlineBytesMax: number): Promise<CollectedBody> {
  const pieces: Buffer[] = [];
  let size = 0;
  while (size <= inlineBytesMax) {
    const piece = await source.next().catch(() => 'broken' as const);
    if (piece === 'broken') return { kind: 'broken' };
    if (piece === null) return { kind: 'small', bytes: pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces) };
    pieces.push(piece);
    size += piece.length;
  }
  return { kind: 'large', source: { next: () => { const piece = pieces.shift(); return piece === undefined ? source.next() : Promise.resolve(piece); } } };
}
