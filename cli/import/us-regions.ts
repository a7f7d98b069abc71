/**
 * The three parts of the USA that GeoDNS and NS1 know, as keys of a `geo` step.
 */
export const US_REGIONS: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    'us-west': 'AK AZ CA CO HI ID MT NM NV OR UT WA WY',
    'us-central': 'AR IA IL IN KS LA MN MO ND NE OK SD TX WI',
    'us-east': 'AL CT DC DE FL GA KY MA MD ME MI MS NC NH NJ NY OH PA RI SC TN VA VT WV',
  }).map(([name, states]) => [name, states.split(' ').map((state) => `US-${state}`)]),
);
