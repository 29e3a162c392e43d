-- A start that was granted and made no call is given back.
-- KEYS  1 the hash of this limit  2 the calls in flight     ARGV  1 who had it  2 the day's offset  3 '1' if counted
redis.call('ZREM', KEYS[2], ARGV[1])
if ARGV[3] ~= '1' then return end
local has = redis.call('HMGET', KEYS[1], 'arrival', 'interval', 'day', 'today', 'slot', 'starts')
if has[1] then redis.call('HSET', KEYS[1], 'arrival', whole(has[1] - has[2])) end
if tonumber(has[3]) == day(ARGV[2]) and tonumber(has[4]) > 0 then redis.call('HINCRBY', KEYS[1], 'today', -1) end
if tonumber(has[5]) == math.floor(now / SLOT) and tonumber(has[6]) > 0 then
  redis.call('HINCRBY', KEYS[1], 'starts', -1)
end
