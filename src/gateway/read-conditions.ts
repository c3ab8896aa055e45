/**
 * The conditions of a GET or HEAD, judged on the version that was read, in the one order that is allowed: If-Match, or
 * else If-Unmodified-Since; then If-None-Match, or else If-Modified-Since; If-Range last, for a range alone.
 *
 * A date in If-Range never holds: two versions may share a second, so our Last-Modified is no strong validator, and a
 * range of another version would be glued to the first part. The answer is the whole then; the ETag does better.
 * Source: [RFC 9110] "Precedence of Preconditions", "Weak versus Strong", "If-Range".
 */
import type { IncomingHttpHeaders } from 'node:http';
import { ballotWallMs, equalBallots, type Ballot } from '../domain/ballot.ts';
import { parseEntityTags } from './entity-tag.ts';
import { parseHttpDate } from './http-date.ts';

export type ReadVerdict =
  | { readonly kind: 'go-on' }
  | { readonly kind: 'not-modified' }
  | { readonly kind: 'failed' }
  /** A header that can't be read and whose sender relies on it. */
  | { readonly kind: 'invalid'; readonly detail: string };

const GO_ON: ReadVerdict = { kind: 'go-on' };

export function readVerdict(headers: IncomingHttpHeaders, version: Ballot): ReadVerdict {
  const ifMatch = headers['if-match'];
  if (ifMatch !== undefined) {
    const tags = parseEntityTags(ifMatch);
    if (tags === null) return { kind: 'invalid', detail: 'If-Match is neither "*" nor a list of quoted entity tags.' };
    if (tags.kind === 'versions' && !includes(tags.versions, version)) return { kind: 'failed' };
  } else if (isModifiedAfter(version, headers['if-unmodified-since']) === true) {
    return { kind: 'failed' };
  }
  const ifNoneMatch = headers['if-none-match'];
  if (ifNoneMatch === undefined) return isModifiedAfter(version, headers['if-modified-since']) === false ? { kind: 'not-modified' } : GO_ON;
  // One that can't be read matches nothing, which only costs the bytes.
  const tags = parseEntityTags(ifNoneMatch);
  const isMatch = tags !== null && (tags.kind === 'any' || includes(tags.versions, version) || includes(tags.weakVersions, version));
  return isMatch ? { kind: 'not-modified' } : GO_ON;
}

/** Whether a range may be served: there is no If-Range, or it names just this version. */
export function isRangeWanted(headers: IncomingHttpHeaders, version: Ballot): boolean {
  const ifRange = headers['if-range'];
  if (ifRange === undefined) return true;
  const tags = parseEntityTags(String(ifRange));
  return tags?.kind === 'versions' && includes(tags.versions, version);
}

export function lastModified(version: Ballot): string {
  return new Date(ballotWallMs(version)).toUTCString();
}

function includes(versions: readonly Ballot[], version: Ballot): boolean {
  return versions.some((one) => equalBallots(one, version));
}

/** In whole seconds, as Last-Modified says it; null when there is no date to compare with. */
function isModifiedAfter(version: Ballot, date: string | undefined): boolean | null {
  const ms = date === undefined ? null : parseHttpDate(date);
  return ms === null ? null : Math.floor(ballotWallMs(version) / 1000) > ms / 1000;
}
