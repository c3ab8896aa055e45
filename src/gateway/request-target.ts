/** The raw request target, cut into path and query without decoding anything. */
const ABSOLUTE_FORM = /^https?:\/\/[^/?#]*/i;

export interface RequestTarget {
  readonly path: string;
  /** Without its "?"; empty when there is none. */
  readonly query: string;
}

/** `url`: as on the request line. The absolute form, which proxies send, counts by its path. */
export function requestTarget(url: string): RequestTarget {
  const origin = url.startsWith('/') ? url : url.replace(ABSOLUTE_FORM, '');
  const at = origin.indexOf('?');
  return at < 0 ? { path: origin, query: '' } : { path: origin.slice(0, at), query: origin.slice(at + 1) };
}

/** The value of a query parameter as written, with "+" as an encoded space; null when it isn't there. */
export function rawQueryValue(query: string, name: string): string | null {
  if (query === '') return null;
  for (const part of query.split('&')) {
    const at = part.indexOf('=');
    if ((at < 0 ? part : part.slice(0, at)) === name) return at < 0 ? '' : part.slice(at + 1).replaceAll('+', '%20');
  }
  return null;
}
