/**
 * Entity tags. Ours are strong and name a version; a tag that isn't ours can't name a version that exists. A weak tag
 * counts only where the comparison is weak (If-None-Match). Source: [RFC 9110] "ETag", "If-Match", "If-None-Match".
 */
import { ballotText, parseBallot, type Ballot } from '../domain/ballot.ts';

export type EntityTags =
  | { readonly kind: 'any' }
  /** `versions`: of the strong tags. `weakVersions`: of those with W/ before them. */
  | { readonly kind: 'versions'; readonly versions: readonly Ballot[]; readonly weakVersions: readonly Ballot[] };

export function entityTag(version: Ballot): string {
  return `"${ballotText(version)}"`;
}

/** Reads `*` or a list of entity tags; null when it is neither. */
export function parseEntityTags(header: string): EntityTags | null {
  const text = header.trim();
  if (text === '*') return { kind: 'any' };
  const versions: Ballot[] = [];
  const weakVersions: Ballot[] = [];
  const item = /[ \t,]*(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?:,|$)/y;
  while (item.lastIndex < text.length) {
    const match = item.exec(text);
    if (match === null) return null;
    const version = parseBallot(match[2] ?? '');
    if (version !== null) (match[1] === undefined ? versions : weakVersions).push(version);
  }
  return text === '' ? null : { kind: 'versions', versions, weakVersions };
}
