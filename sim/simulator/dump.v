// Records all signals to the file that +dump names.
module dump;
    reg [8*4096-1:0] path;
    initial if ($value$plusargs("dump=%s", path)) begin
        $dumpfile(path);
        $dumpvars;
    end
endmodule
