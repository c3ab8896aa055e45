/**
 * Entity tags. Ours are strong and name a version; a weak tag therefore never matches, and a tag that isn't ours can't
 * name a version that exists. Source: [RFC 9110] "ETag", "If-Match".
 */
import { ballotText, parseBallot, type Ballot } from '../domain/ballot.ts';

export type EntityTags = { readonly kind: 'any' } | { readonly kind: 'versions'; readonly versions: readonly Ballot[] };

export function entityTag(version: Ballot): string {
  return `"${ballotText(version)}"`;
}

/** Reads `*` or a list of entity tags, keeping those that can match strongly; null when it is neither. */
export function parseEntityTags(header: string): EntityTags | null {
  const text = header.trim();
  if (text === '*') return { kind: 'any' };
  const versions: Ballot[] = [];
  const item = /[ \t,]*(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?:,|$)/y;
  while (item.lastIndex < text.length) {
    const match = item.exec(text);
    if (match === null) return null;
    const version = match[1] === undefined ? parseBallot(match[2] ?? '') : null;
    if (version !== null) versions.push(version);
  }
  return text === '' ? null : { kind: 'versions', versions };
}
