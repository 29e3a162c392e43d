-- The right to start one call, or how long to wait for it: rate (GCRA), calls in flight, calls a day, pauses.
-- KEYS  1 the hash of this limit  2 the pause  3 the calls in flight, by when each is given up  4 the broker's epoch
-- ARGV  1 who asks  2 per_minute  3 in_flight  4 per_day (of the catalogue)  5 the day's offset from UTC in seconds
--       6 how far ahead a start may be reserved, a second at most  7 how long a call may be in flight (both in microseconds)
-- Returns {1, wait, kind, interval} for a start that is due in `wait` microseconds (kind: new, tracked or held), or
-- {0, wait, reason, interval} to ask again then.
local SHARE, CATCH_UP, FURTHEST, RAISE, RAISE_EVERY = 0.985, 100000, 1000000, 1.01, 10000000

if redis.call('EXISTS', KEYS[4]) == 0 then return {0, 1000000, 'epoch', 0} end
local paused = redis.call('PTTL', KEYS[2])
if paused > 0 then return {0, paused * 1000, 'pause', 0} end
local has = redis.call('HMGET', KEYS[1], 'arrival', 'found', 'raised_at', 'day', 'today', 'slot', 'starts',
  'starts_before', 'began', 'override.per_minute', 'override.in_flight', 'override.per_day')

local in_flight = in_force(has[11], ARGV[3])
if in_flight then
  local until_then = redis.call('ZSCORE', KEYS[3], ARGV[1])
  if until_then and tonumber(until_then) > now then return {1, 0, 'held', 0} end
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', whole(now))
end

local per_minute, found = in_force(has[10], ARGV[2]), tonumber(has[2])
if found and now - tonumber(has[3]) >= RAISE_EVERY then
  found = found * RAISE
  if per_minute and found >= per_minute then
    redis.call('HDEL', KEYS[1], 'found', 'raised_at')
    found = nil
  else
    redis.call('HSET', KEYS[1], 'found', string.format('%.4f', found), 'raised_at', whole(now))
  end
end
local rate = slower(per_minute, found)
local interval = rate and 60000000 / (rate * SHARE) or 0
if in_flight and redis.call('ZCARD', KEYS[3]) >= in_flight then return {0, 0, 'in_flight', interval} end

local today, midnight = day(ARGV[5])
local count = tonumber(has[4]) == today and tonumber(has[5]) or 0
local per_day = in_force(has[12], ARGV[4])
if per_day and count >= per_day then return {0, midnight, 'day', interval} end

local wait = 0
if rate then
  local horizon = tonumber(ARGV[6])
  -- A start that comes late by a moment is made up for.
  local arrival = math.max(tonumber(has[1]) or 0, now - CATCH_UP)
  if arrival > now + FURTHEST + interval then
    -- Reserved at a slower rate, which holds no more.
    arrival = now + FURTHEST
    redis.call('HSET', KEYS[1], 'arrival', whole(arrival))
  end
  wait = math.max(arrival - now, 0)
  if wait > horizon then return {0, wait - horizon, 'rate', interval} end
  redis.call('HSET', KEYS[1], 'arrival', whole(arrival + interval), 'interval', whole(interval))
end

local current, slot = math.floor(now / SLOT), tonumber(has[6])
local starts, starts_before, began = 1, 0, now
if slot == current then starts, starts_before, began = has[7] + 1, has[8], has[9]
elseif slot == current - 1 then starts_before, began = has[7], has[9] end
redis.call('HSET', KEYS[1], 'day', today, 'today', count + 1, 'slot', current, 'starts', starts,
  'starts_before', starts_before, 'began', whole(began))
if not in_flight then return {1, wait, 'new', interval} end
redis.call('ZADD', KEYS[3], whole(now + wait + ARGV[7]), ARGV[1])
redis.call('PEXPIRE', KEYS[3], whole((wait + ARGV[7]) / 1000 + 60000))
return {1, wait, 'tracked', interval}
