/** docs/errors.md, written from the catalogue. */
import { ERRORS, type CatalogueEntry } from '../domain/error-catalogue.ts';

export function errorsDocument(): string {
  const entries: [string, CatalogueEntry][] = Object.entries(ERRORS);
  const rows = entries.map(([code, { status, retryable, title, remedy }]) => `| \`${code}\` | ${status} | ${retryable ? 'yes' : 'no'} | ${title}. | ${remedy} |`);
  return `# Errors

Written from the catalogue in \`src/domain/error-catalogue.ts\`; a test holds this page against it.

Over HTTP an error is \`application/problem+json\` with \`type\`, \`title\`, \`status\`, \`code\`, \`detail\`, \`retryable\` and
\`requestId\` (also in the header \`x-request-id\`). The problem of a write has \`outcome\` too: \`not-applied\` says that it
certainly isn't there, \`unknown\` that it may be. A failed condition adds \`currentEtag\`, null when there is no object. 503 comes with
\`Retry-After\`. Bytes that are no HTTP request are answered \`DHT_ERR_REQUEST_INVALID\` with the status 400, 408 (the head
came too slowly) or 431 (the head is longer than 16 KiB). Codes with status 500 that speak of peers or the data directory are seen
in the log, not over HTTP.

| code | status | retry may help | meaning | what to do |
|---|---|---|---|---|
${rows.join('\n')}
`;
}
