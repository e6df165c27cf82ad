export { inLanes } from '../rotation/in-lanes';
