/**
 * Dates in headers, in the three forms that a recipient has to accept: of today, of RFC 850 and of C's asctime. Anything
 * else is no date: a parser that guesses would make conditions of typing errors. Source: [RFC 9110] "Date/Time Formats".
 */
const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec';
const TIME = '(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)';
const MONTH = `(?<month>${MONTHS.replaceAll(' ', '|')})`;
const FORMS = [
  new RegExp(`^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${TIME} GMT$`),
  new RegExp(`^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?<day>\\d\\d)-${MONTH}-(?<year>\\d\\d) ${TIME} GMT$`),
  new RegExp(`^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`),
];
/** Two digits up to this are of this century: the form is extinct, and no object is older. */
const CENTURY_TURN = 69;

/** Milliseconds since 1970; null when it is no date. */
export function parseHttpDate(text: string): number | null {
  for (const form of FORMS) {
    const found = form.exec(text)?.groups;
    if (found === undefined) continue;
    const { year = '', month = '', day = '', hour = '', minute = '', second = '' } = found;
    const century = year.length === 4 ? 0 : Number(year) < CENTURY_TURN ? 2000 : 1900;
    const ms = Date.UTC(century + Number(year), MONTHS.indexOf(month) / 4, Number(day), Number(hour), Number(minute), Number(second));
    return Number.isNaN(ms) ? null : ms;
  }
  return null;
}
