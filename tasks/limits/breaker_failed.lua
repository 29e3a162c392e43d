-- A delivery has failed with an error that may be the destination's own trouble.
-- KEYS  1 the hash of this destination  2 the images that failed equally in a row
-- ARGV  1 the image  2 the error's class  3 its message  4 '1' if it is this image's first failure  5 how many images
--       open the breaker  6 the first pause  7 the longest pause  8 how long failures are remembered (microseconds)
-- Returns {'1' if delivery is held, since when in microseconds, '1' if people are to be told}.
local image, class, message, longest, memory = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[7]), tonumber(ARGV[8])
local has = redis.call('HMGET', KEYS[1], 'since', 'pause', 'probe', 'told', 'class')
local since = has[1]

local function remember(key, microseconds) redis.call('PEXPIRE', key, whole(microseconds / 1000)) end

local function hold(pause, ...)
  redis.call('HSET', KEYS[1], 'pause', whole(pause), 'until', whole(now + pause), 'class', class, 'message', message, ...)
  redis.call('HDEL', KEYS[1], 'probe', 'probe_until')
  -- Kept alive by probes: without pictures that wait, an outage is forgotten.
  remember(KEYS[1], longest + memory)
end

if since then
  -- Calls that were under way when it opened say nothing new.
  if has[3] ~= image then return {1, since, 0} end
  hold(math.min(2 * has[2], longest), 'told', 1)
  return {1, since, has[4] and 0 or 1}
end

if has[5] ~= class then
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[1], 'class', class)
end
if ARGV[4] == '1' then redis.call('SADD', KEYS[2], image) end
remember(KEYS[1], memory)
remember(KEYS[2], memory)
if redis.call('SCARD', KEYS[2]) < tonumber(ARGV[5]) then return {0, 0, 0} end
redis.call('DEL', KEYS[2])
hold(tonumber(ARGV[6]), 'since', whole(now))
return {1, whole(now), 0}
