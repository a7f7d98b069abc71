/**
 * Positions of the AWS regions and Local Zones: the city that each is named after, to a tenth of a degree. `nearest`
 * needs no higher precision.
 */
const AWS_REGIONS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'af-south-1': '-33.9,18.4',
    'ap-east-1': '22.3,114.2',
    'ap-east-2': '25.0,121.6',
    'ap-northeast-1': '35.7,139.7',
    'ap-northeast-2': '37.6,127.0',
    'ap-northeast-3': '34.7,135.5',
    'ap-south-1': '19.1,72.9',
    'ap-south-2': '17.4,78.5',
    'ap-southeast-1': '1.4,103.8',
    'ap-southeast-2': '-33.9,151.2',
    'ap-southeast-3': '-6.2,106.8',
    'ap-southeast-4': '-37.8,145.0',
    'ap-southeast-5': '3.1,101.7',
    'ap-southeast-6': '-36.8,174.8',
    'ap-southeast-7': '13.8,100.5',
    'ca-central-1': '45.5,-73.6',
    'ca-west-1': '51.0,-114.1',
    'cn-north-1': '39.9,116.4',
    'cn-northwest-1': '38.5,106.2',
    'eu-central-1': '50.1,8.7',
    'eu-central-2': '47.4,8.5',
    'eu-north-1': '59.3,18.1',
    'eu-south-1': '45.5,9.2',
    'eu-south-2': '41.7,-0.9',
    'eu-west-1': '53.3,-6.3',
    'eu-west-2': '51.5,-0.1',
    'eu-west-3': '48.9,2.4',
    'il-central-1': '32.1,34.8',
    'me-central-1': '24.5,54.4',
    'me-south-1': '26.1,50.6',
    'mx-central-1': '20.6,-100.4',
    'sa-east-1': '-23.5,-46.6',
    'us-east-1': '39.0,-77.5',
    'us-east-2': '40.0,-83.0',
    'us-west-1': '37.8,-122.4',
    'us-west-2': '45.8,-119.7',
  }),
);

/** Local Zones by the code of the city in their names, such as `us-west-2-lax-1`. */
const LOCAL_ZONES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    akl: '-36.8,174.8',
    atl: '33.7,-84.4',
    bkk: '13.8,100.5',
    bos: '42.4,-71.1',
    bue: '-34.6,-58.4',
    ccu: '22.6,88.4',
    chi: '41.9,-87.6',
    cph: '55.7,12.6',
    del: '28.6,77.2',
    den: '39.7,-105.0',
    dfw: '32.8,-96.8',
    ham: '53.6,10.0',
    han: '21.0,105.8',
    hel: '60.2,24.9',
    hnl: '21.3,-157.9',
    iah: '29.8,-95.4',
    las: '36.2,-115.1',
    lax: '34.1,-118.2',
    lim: '-12.0,-77.0',
    los: '6.5,3.4',
    mci: '39.1,-94.6',
    mct: '23.6,58.4',
    mia: '25.8,-80.2',
    mnl: '14.6,121.0',
    msp: '45.0,-93.3',
    nyc: '40.7,-74.0',
    pdx: '45.5,-122.7',
    per: '-31.9,115.9',
    phl: '40.0,-75.2',
    phx: '33.4,-112.1',
    qro: '20.6,-100.4',
    scl: '-33.4,-70.7',
    sea: '47.6,-122.3',
    tpe: '25.0,121.6',
    waw: '52.2,21.0',
  }),
);

/**
 * The position of a region or Local Zone. `isParent`: the Local Zone is not known, and the position is that of its
 * region.
 */
export function awsPosition(name: string): { readonly at: string | undefined; readonly isParent: boolean } {
  const own = AWS_REGIONS.get(name);
  if (own !== undefined) return { at: own, isParent: false };
  const [, region = '', city] = /^([a-z]+-[a-z]+-\d)[a-z]?(?:-([a-z]{3})-\d[a-z]?)?$/.exec(name) ?? [];
  const zone = city === undefined ? undefined : LOCAL_ZONES.get(city);
  if (zone !== undefined) return { at: zone, isParent: false };
  const parent = /^[a-z]+-[a-z]+-\d/.exec(name)?.[0] ?? '';
  return { at: AWS_REGIONS.get(parent), isParent: region === '' || city !== undefined };
}
