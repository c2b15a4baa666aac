# What the Ruby clients share; what they say to scripts/real-clients is told in README.md.
PORT = Integer(ENV.fetch('VARVE_PORT'))
$stdout.sync = true
$failed = false

def check(name)
  yield
  puts "check #{name}"
rescue StandardError => e
  $failed = true
  at = e.backtrace.reject { |line| line.include?(__FILE__) }.grep(/#{__dir__}/).first
  puts "failed #{name} :: #{e.class}: #{e.message.lines.first.to_s.chomp} | #{at}"
end

def equal(got, wanted)
  raise "got #{got.inspect}, wanted #{wanted.inspect}" unless got == wanted
end

def eventually(seconds = 30)
  (seconds * 50).times { return if yield; sleep 0.02 }
  raise 'it did not come to be in time'
end

def done(version)
  puts "version #{version}"
  exit($failed ? 1 : 0)
end
