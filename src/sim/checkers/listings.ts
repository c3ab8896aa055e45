/**
 * Listings against what clients did: order and repetition at once, completeness when the history is known. A name that
 * certainly existed from the first page's call to the last page's answer is listed, one that certainly didn't is not;
 * what was written meanwhile, or by an operation of unknown outcome, may be there or not.
 */
import { compareNames } from '../../domain/name-order.ts';
import type { ObjectEntry } from '../history.ts';

export interface Listing {
  readonly client: string;
  readonly prefix: string;
  readonly delimiter: string | null;
  /** Moments of the history, before the first page's call and after the last page's answer. */
  readonly startAt: number;
  readonly endAt: number;
  /** Objects and common prefixes in the order in which the pages gave them. */
  readonly names: readonly string[];
  readonly commonPrefixes: readonly string[];
}

/** What of a listing is wrong by itself. */
export function checkOrder({ client, prefix, names, commonPrefixes }: Listing): readonly string[] {
  return [names, commonPrefixes].flatMap((list) =>
    list.flatMap((name, i) => {
      const before = list[i - 1];
      if (!name.startsWith(prefix)) return [`${client} listed "${name}" under the prefix "${prefix}"`];
      return before === undefined || compareNames(before, name) < 0 ? [] : [`${client} listed "${name}" behind "${before}"`];
    }));
}

/** What a listing lacks or shows wrongly, by the whole history. */
export function checkListing(listing: Listing, entries: readonly ObjectEntry[], names: readonly string[]): readonly string[] {
  const { client, prefix, delimiter, startAt, endAt } = listing;
  const when = `between the moments ${startAt} and ${endAt}`;
  const certainPrefixes = new Set<string>();
  const wrong: string[] = [];
  for (const name of names.filter((candidate) => candidate.startsWith(prefix))) {
    const existence = certainty(name, entries, startAt, endAt);
    const cut = delimiter === null ? -1 : name.indexOf(delimiter, prefix.length);
    if (cut >= 0) {
      if (existence === 'present') certainPrefixes.add(name.slice(0, cut + (delimiter ?? '').length));
      if (listing.names.includes(name)) wrong.push(`${client} listed "${name}" instead of its common prefix`);
      continue;
    }
    const isListed = listing.names.includes(name);
    if (existence === 'present' && !isListed) wrong.push(`${client} did not list "${name}", which was there all the time ${when}`);
    if (existence === 'absent' && isListed) wrong.push(`${client} listed "${name}", which was not there at any time ${when}`);
  }
  for (const shown of certainPrefixes) {
    if (!listing.commonPrefixes.includes(shown)) wrong.push(`${client} did not list the common prefix "${shown}", under which something was all the time ${when}`);
  }
  return wrong;
}

/** Whether the name had a value during the whole time, as far as that follows from the history. */
function certainty(name: string, entries: readonly ObjectEntry[], startAt: number, endAt: number): 'present' | 'absent' | 'unknown' {
  const writes = entries.filter(({ key, op, result }) => key === name && op.kind !== 'get' && result?.kind !== 'precondition-failed');
  const begun = writes.filter(({ invokeAt }) => invokeAt <= endAt);
  if (begun.length === 0) return 'absent';
  const last = begun.filter(({ returnAt }) => returnAt !== null && returnAt < startAt).reduce<ObjectEntry | null>(
    (latest, entry) => (latest === null || entry.invokeAt > latest.invokeAt ? entry : latest), null);
  if (last === null) return 'unknown';
  // Everything that may have come after it, or at the same time, has to be of its kind.
  const rivals = begun.filter(({ returnAt }) => (returnAt ?? Infinity) >= last.invokeAt);
  if (!rivals.every(({ op }) => op.kind === last.op.kind)) return 'unknown';
  return last.op.kind === 'put' ? 'present' : 'absent';
}
