// The rules of docs/contract.md 3.5 and 3.6 as an explicit-state model: one charger's identity, its connections
// ("dials") to several gateways, the links in OCPP_LINKS, commands, and faults. It visits every reachable state and
// prints the shortest way to one that breaks a promise. Whoever changes the rules changes this file first.
//
// Build: g++ -O2 -std=c++17 -o ownership ownership.cpp
// All rules, nothing found:            ./ownership G=2 S=2 C=1 F=1 subfirst=1 fence=1 fix=1 hold=1
// Release 0.1.0, found in milliseconds: ./ownership G=2 S=2 C=1 F=0
//
// G gateways, S dials, C commands (sameid=1: under one command id), F faults; max: states at which to stop.
// A fault is one of: a gateway freezes, is cut off from NATS, or crashes; a PubAck is lost.
//
// Rules, each switched on by its name:
//   subfirst  a session subscribes to its commands, then writes `up`, on one NATS connection
//   hold      a command waits until the link's epoch is known
//   fence     the last link is read from its leader while the command's fact is stored; the CALL leaves only if it is
//             this session's `up`, and the session ends if it is another gateway's
//   fix       what stands behind a session's epoch decides, also if heard before the PubAck; an ended session never
//             writes `up` again; see rules 1 to 3 in README.md
//   self      rule 4: a gateway sets down the link of a session that it does not hold
//   resub     after a reconnect, subscriptions come back only when the stream was followed up to now (not needed)
//   kick, cond, reclaim: rules that were tried and found unsound (a kick before `up`, a conditional first `up`)
// Promises, as they are printed:
//   I1a  whoever has seen `up` and sends a command gets "no responders"     I1b  or its CALL goes to an older socket
//   I2   a CALL is sent twice under one command id
//   T1   at rest, an ended session is still subscribed     T2, T4  the link does not name the live session, or it is
//        not subscribed     T3  a link is up that no living gateway holds
#include <cstdint>
#include <cstring>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>
#include <map>
#include <functional>
#include <unordered_map>
#include <algorithm>
using namespace std;
typedef int8_t i8; 
static const int MG=3, MS=4, MC=3, ML=14, MI=5;
// options
struct Opt { int G=2,S=2,C=1,F=1; int subfirst=0,kick=0,cond=0,reclaim=0,fence=0,hold=0,fix=0,resub=0,causal=1,sameid=0,skip=1,swallow=0; 
  int freeze=1,part=1,crash=1,acklost=1; int fifo=1; int i1nr=1,i1b=1,term=1; long maxst=30000000; int cyc=0; int kdown=1; int stopall=0; int pubfifo=1; int live=0; int van=0; int self=0; int dgone=0; } O;
enum { GOK,GFROZ,GPART,GCRASH };
enum { U0,UKICK,UFLY,UACK,UKNOWN,UOWED,UREF,UREAD };
enum { CN,CINBOX,CHELD,CSTORING,CSTORED,CSENT,CGONE,CNORESP,CSWALLOW,CREC };
#pragma pack(push,1)
struct St {
  i8 cur,nd,nf;
  i8 gst[MG],srvconn[MG],pos[MG],hv[MG],need[MG];
  i8 nlog,lt[ML],ls[ML];
  i8 gw[MS],open[MS],ended[MS],sub[MS],srv[MS],up[MS],ep[MS],pend[MS],behind[MS],newer[MS],first[MS],ktgt[MS],kdone[MS],ksess[MS],pd[MS],repl[MS],acc[MS];
  i8 cst[MC],cs[MC],cg[MC],wr[MC],fok[MC],att[MC];
  i8 nin[MG]; i8 in[MG][MI][3];
};
#pragma pack(pop)
struct H { size_t operator()(const St&s) const { const uint8_t*p=(const uint8_t*)&s; uint64_t h=1469598103934665603ULL; for(size_t i=0;i<sizeof(St);i++){h^=p[i];h*=1099511628211ULL;} return h^(h>>29);} };
struct E { bool operator()(const St&a,const St&b) const { return !memcmp(&a,&b,sizeof(St)); } };
typedef function<void(const string&, const St&, bool sys, const char* viol)> Emit;

static int lastUp(const St&s){ return s.nlog && s.lt[s.nlog-1]==1 ? s.ls[s.nlog-1] : -1; }
static void closeS(St&s,int x,bool superseded){
  if(!s.open[x]) return;
  s.open[x]=0; s.sub[x]=0; if(s.cur==x) s.cur=-1;
  if(s.up[x]==UKICK||s.up[x]==UREAD){ s.up[x]=U0; s.kdone[x]=0; }
  if(!superseded || O.fix){ s.ended[x]=superseded?2:1; if(s.up[x]==UKNOWN && !superseded) s.pd[x]=1; }
}
static int holder(const St&s,int g){ for(int x=s.nd-1;x>=0;x--) if(s.open[x]&&s.gw[x]==g) return x; return -1; }
static bool push(St&s,int g,int a,int b,int c){ if(s.nin[g]>=MI) return false; i8*e=s.in[g][(int)s.nin[g]++]; e[0]=a;e[1]=b;e[2]=c; return true; }
static void pop(St&s,int g,int i){ for(int j=i;j+1<s.nin[g];j++) memcpy(s.in[g][j],s.in[g][j+1],3); s.nin[g]--; memset(s.in[g][(int)s.nin[g]],0,3); }
static void finish(St&s,int c,int st){ s.cst[c]=st; if(st>=CSENT) s.cg[c]=-1; }
static void norm(St&s){ int l=lastUp(s); for(int c=0;c<O.C;c++) if(s.cg[c]>=0){ int S=s.cg[c]; if(!(l==S&&s.cur==S&&s.open[S]&&s.gst[(int)s.gw[S]]==GOK)) s.cg[c]=-1; } }
static void proceed(St&s,int x){ int g=s.gw[x]; s.kdone[x]= !O.kick||s.up[x]!=UKICK?0: s.kdone[x]==1?2:3; s.ktgt[x]=-1;
  if(O.cond){ if(s.hv[g] && s.ls[s.hv[g]-1]!=s.ksess[x] && s.hv[g]>s.acc[x]){ closeS(s,x,true); return; } s.behind[x]=max<int>(s.pos[g],s.behind[x]==-1?0:s.behind[x]); }
  else s.behind[x]=-1;
  if(O.subfirst) s.sub[x]=1;
  s.up[x]=UFLY; s.ksess[x]=-1; }
// send a kick for newcomer x against session t (or whoever answers on the token)
static void kick(const St&s0,int x,int t,function<void(const St&,const string&)> out){
  St s=s0; s.up[x]=UKICK; s.ksess[x]=t; s.kdone[x]=0;
  if(O.kick==2){ int g=s.gw[t]; s.ktgt[x]=g;
    if(!s.srvconn[g]||s.gst[g]==GCRASH){ s.kdone[x]=1; out(s,"kick: no responders"); }
    else if(s.gst[g]==GPART) out(s,"kick into a cut connection");
    else if(push(s,g,2,t,x)) out(s,"kick to g"+to_string(g)+" for s"+to_string(t)); return; }
  bool any=false;
  for(int m=0;m<s0.nd;m++) if(s0.srv[m]&&m!=x){ any=true; St u=s; int g=u.gw[m]; u.ktgt[x]=g; if(u.gst[g]!=GPART&&u.gst[g]!=GCRASH){ if(!push(u,g,2,m,x)) continue; } out(u,"kick reaches s"+to_string(m)+"@g"+to_string(g)); }
  if(!any){ s.kdone[x]=1; out(s,"kick: no responders"); } }

static void succ(const St&s, const Emit&emit0){
  Emit emit=[&](const string&l,const St&u,bool sys,const char*v){ St n=u; norm(n); if(O.live&&!v&&sys&&s.cur>=0&&n.cur<0&&(O.live==1||l.find("handles kick")!=string::npos)) v= l.find("kick")!=string::npos?"L1 kick closes the newest, live socket":"L2 newest, live socket superseded by an older one"; emit0(l,n,sys,v); };
  auto N=[&](int x){return to_string(x);};
  // dial
  if(s.nd<O.S && s.nlog<ML-3) for(int g=0;g<O.G;g++) if(s.gst[g]==GOK){
    if(s.nd==0&&g>0) continue; // symmetry
    St u=s; int x=u.nd++; u.cur=x; u.gw[x]=g; u.open[x]=1; u.first[x]=1; u.behind[x]=-1; u.repl[x]=-1; u.ktgt[x]=-1; u.ksess[x]=-1; u.acc[x]=u.nlog;
    bool sys = s.cur<0; int old=-1; for(int y=0;y<s.nd;y++) if(s.open[y]&&s.gw[y]==g) old=y;
    string l="charger dials g"+N(g)+" (s"+N(x)+")";
    if(old>=0){ closeS(u,old,true); u.cur=x; u.repl[x]=old; proceed(u,x); emit(l+", local takeover of s"+N(old),u,sys,0); }
    else if(s.hv[g]){ int t=s.ls[s.hv[g]-1]; u.repl[x]=t; if(O.kick) kick(u,x,t,[&](const St&w,const string&k){emit(l+", knows s"+N(t)+"; "+k,w,sys,0);}); else { proceed(u,x); emit(l+", knows s"+N(t),u,sys,0);} }
    else { proceed(u,x); emit(l+", knows no holder",u,sys,0); }
  }
  for(int x=0;x<s.nd;x++){ int g=s.gw[x]; bool ok=s.gst[g]==GOK; bool conn=s.gst[g]==GOK||s.gst[g]==GFROZ;
    if(s.sub[x]&&!s.srv[x]&&conn&&s.srvconn[g]&&!(O.resub&&s.pos[g]<s.need[g])){ St u=s; u.srv[x]=1; emit("server sees subscription of s"+N(x),u,true,0); }
    if(!s.sub[x]&&s.srv[x]&&conn){ St u=s; u.srv[x]=0; emit("server sees unsubscription of s"+N(x),u,true,0); }
    if(s.up[x]==UKICK&&ok){ bool to = s.ktgt[x]>=0 && s.gst[(int)s.ktgt[x]]!=GOK; bool inq=false; for(int h=0;h<O.G;h++)for(int i=0;i<s.nin[h];i++) if(s.in[h][i][0]==2&&s.in[h][i][2]==x) inq=true;
      if(s.kdone[x]||to||!inq){ St u=s; proceed(u,x); emit(string("s")+N(x)+(s.kdone[x]?" kick answered":" kick timed out")+(O.subfirst?", subscribes, writes up":", writes up"),u,true,0); } }
    bool older=false; if(O.pubfifo) for(int y=0;y<x;y++) if(s.gw[y]==g&&s.up[y]==UFLY) older=true;
    if(s.up[x]==UFLY&&!older&&conn&&s.nlog<ML&&(!(O.subfirst&&O.causal)||s.srv[x]||!s.sub[x])){ St u=s;
      if(s.behind[x]<0||s.behind[x]==s.nlog){ u.lt[(int)u.nlog]=1; u.ls[(int)u.nlog]=x; u.nlog++; u.pend[x]=u.nlog; u.up[x]=UACK; emit("stored: up(s"+N(x)+") seq "+N(u.nlog),u,true,0); }
      else { u.up[x]=UREF; emit("up(s"+N(x)+") refused",u,true,0);} }
    if(s.up[x]==UACK&&ok){ St u=s; int e=u.pend[x]; u.ep[x]=e; u.up[x]=UKNOWN; u.behind[x]=-1; bool f=u.first[x]; u.first[x]=0;
      string l="PubAck up(s"+N(x)+") epoch "+N(e);
      if(u.ended[x]==2&&O.fix){ u.pd[x]=1; } else if(u.ended[x]) u.pd[x]=1;
      else if(!u.open[x]) {} // V0: closed as superseded
      else { int nw= s.hv[g]>e ? 1:0; if(O.fix) nw = nw || s.newer[x]>e; if((f||O.fix)&&nw){ closeS(u,x,true); l+=": newer known, superseded"; } else if(f&&!O.subfirst) u.sub[x]=1; if(O.fix&&u.open[x]&&s.pos[g]>e&&s.gw[s.ls[s.pos[g]-1]]==g&&s.ls[s.pos[g]-1]!=x){ u.behind[x]=s.pos[g];u.ep[x]=0;u.up[x]=UFLY; l+=": hidden by an earlier one of ours: up again"; } }
      emit(l,u,true,0); }
    if(s.up[x]==UREF&&ok){ St u=s; int l=lastUp(s);
      if(!s.open[x]){ u.up[x]=U0; emit("refusal told s"+N(x),u,true,0); }
      else if(O.cond&&s.first[x]){ 
        if(l==x){ u.up[x]=UACK; u.pend[x]=s.nlog; emit("s"+N(x)+" finds own up",u,true,0);} 
        else if(l<0||(s.gw[l]==g&&l<x)){ u.behind[x]=s.nlog; u.up[x]=UFLY; emit("s"+N(x)+" refused, last is down or an earlier one here: again behind "+N(s.nlog),u,true,0);} 
        else if(O.reclaim && s.nlog<=s.acc[x]){ u.behind[x]=s.nlog; u.repl[x]=l; if(O.kick) { u.sub[x]=0; kick(u,x,l,[&](const St&w,const string&k){ emit("s"+N(x)+" refused, unknown older holder s"+N(l)+": "+k,w,true,0);} ); } else {u.up[x]=UFLY; emit("s"+N(x)+" refused, older holder s"+N(l)+": again",u,true,0);} }
        else { closeS(u,x,true); u.up[x]=U0; emit("s"+N(x)+" refused, newer s"+N(l)+" stands: superseded",u,true,0);} }
      else if(O.fix&&l!=x&&(l<0||s.gw[l]==g)){ u.behind[x]=s.nlog; u.up[x]=UFLY; emit("refusal: s"+N(x)+" reads: down or one of ours: again behind "+N(s.nlog),u,true,0);}
      else if(O.fix&&l==x){ u.pend[x]=s.nlog; u.up[x]=UACK; emit("refusal: s"+N(x)+" reads own up",u,true,0);}
      else { closeS(u,x,true); u.up[x]=U0; emit("refusal: s"+N(x)+" superseded",u,true,0);} }
    if(s.up[x]==UOWED&&ok){ St u=s; int l=lastUp(s); int ls=s.nlog?s.ls[s.nlog-1]:-1;
      if(l==x){ u.up[x]=UACK; u.pend[x]=s.nlog; emit("s"+N(x)+" reads last: own up",u,true,0);} 
      else if(O.fix&&s.open[x]&&l>=0&&s.gw[l]==g&&l<x){ u.behind[x]=s.nlog; u.up[x]=UFLY; emit("s"+N(x)+" owed: an earlier one here stands: up again behind "+N(s.nlog),u,true,0);}
      else if(!s.ended[x] && (!s.nlog||l<0||ls==s.repl[x]||ls==x)){ u.behind[x]=s.nlog; u.up[x]=UFLY; emit("s"+N(x)+" owed: writes up again behind "+N(s.nlog)+(s.open[x]?"":" (ALREADY CLOSED)"),u,true,0);} 
      else { u.up[x]=U0; if(!s.ended[x]) closeS(u,x,true); emit("s"+N(x)+" owed: newer stands",u,true,0);} }
    if(s.pd[x]&&conn&&s.nlog<ML){ St u=s; u.pd[x]=0; if(s.nlog==s.ep[x]){ u.lt[(int)u.nlog]=2; u.ls[(int)u.nlog]=x; u.nlog++; emit("stored: down(s"+N(x)+") seq "+N(u.nlog),u,true,0);} else emit("down(s"+N(x)+") refused",u,true,0); }
    if(s.open[x]&&s.cur!=x&&s.gst[g]!=GFROZ&&s.gst[g]!=GCRASH){ St u=s; closeS(u,x,false); emit("g"+N(g)+" notices dead socket of s"+N(x),u,true,0); }
    if(O.acklost&&s.nf<O.F&&(s.up[x]==UACK)){ St u=s; u.nf++; u.up[x]=UOWED; emit("FAULT PubAck of s"+N(x)+" lost",u,false,0); }
  }
  for(int g=0;g<O.G;g++){
    if(s.gst[g]==GOK) for(int k=s.pos[g]+1;k<=s.nlog;k++){ if(!O.skip&&k!=s.pos[g]+1) break; St u=s; u.pos[g]=k; int t=s.lt[k-1],x=s.ls[k-1]; int h=holder(s,g);
      string l="g"+N(g)+" hears "+(t==1?"up":"down")+"(s"+N(x)+") seq "+N(k);
      auto again=[&](){ if(O.fix&&h>=0&&x!=h&&s.gw[x]==g&&s.up[h]==UKNOWN&&s.ep[h]<k&&!s.ended[h]){ u.behind[h]=k;u.ep[h]=0;u.up[h]=UFLY; l+=": an earlier one of ours hides s"+N(h)+": up again"; } };
      if(t==1){ if(s.gw[x]==g){ u.hv[g]=0; again(); } else { u.hv[g]=k; if(h>=0){ if(s.up[h]==UKNOWN&&s.ep[h]<k){ closeS(u,h,true); l+=": s"+N(h)+" superseded"; } else if(O.fix&&s.up[h]!=UKNOWN) u.newer[h]=k; } } }
      else { u.hv[g]=0; if(h>=0){ if(x==h){ if(!s.ended[h]&&(s.up[h]==UKNOWN||s.up[h]==UACK||s.up[h]==UOWED)&&!(s.up[h]==UACK&&s.pend[h]>k)&&!(s.up[h]==UKNOWN&&s.ep[h]>k)){ u.behind[h]=k; u.ep[h]=0; u.up[h]=UFLY; l+=": s"+N(h)+" writes up again"; } }
          else if(O.fix&&s.gw[x]==g) again(); else if(O.fix&&s.gw[x]!=g){ if(s.up[h]==UKNOWN&&s.ep[h]<k){ closeS(u,h,true); l+=": s"+N(h)+" superseded"; } else if(s.up[h]!=UKNOWN) u.newer[h]=k; } } }
      emit(l,u,true,0); }
    if(O.van&&g==0&&s.cur>=0&&s.nf<O.F){ St u=s; u.nf++; u.cur=-1; emit("FAULT charger vanishes (no FIN)",u,false,0); }
    if(O.self&&s.gst[g]==GOK&&s.pos[g]&&s.pos[g]==s.nlog&&s.nlog<ML&&s.lt[s.nlog-1]==1){ int x=s.ls[s.nlog-1]; bool busy=false; for(int y=0;y<s.nd;y++) if(s.gw[y]==g&&(s.open[y]||s.pd[y]||s.up[y]==UFLY||s.up[y]==UACK||s.up[y]==UOWED||s.up[y]==UREF)) busy=true;
      if(s.gw[x]==g&&!busy){ St u=s; u.lt[(int)u.nlog]=2;u.ls[(int)u.nlog]=x;u.nlog++; emit("g"+N(g)+" finds its own stale link: down(s"+N(x)+") seq "+N(u.nlog),u,true,0);} }
    // sweep
    if(s.gst[g]==GOK&&s.hv[g]&&s.hv[g]==s.nlog&&s.nlog<ML){ int x=s.ls[s.hv[g]-1]; if(s.gst[(int)s.gw[x]]!=GOK){ St u=s; u.lt[(int)u.nlog]=2;u.ls[(int)u.nlog]=x;u.nlog++; emit("g"+N(g)+" sweeps: down(s"+N(x)+") seq "+N(u.nlog),u,true,0);} }
    // faults
    if(s.gst[g]==GOK&&s.nf<O.F){
      if(O.freeze){ St u=s; u.nf++; u.gst[g]=GFROZ; emit("FAULT g"+N(g)+" freezes",u,false,0);} 
      if(O.part){ St u=s; u.nf++; u.gst[g]=GPART; for(int x=0;x<s.nd;x++) if(s.gw[x]==g&&(s.up[x]==UFLY||s.up[x]==UACK||s.up[x]==UREF)) u.up[x]=UOWED;
        for(int i=0;i<s.nin[g];i++) if(s.in[g][i][0]==1) finish(u,s.in[g][i][1],CSWALLOW); memset(u.in[g],0,sizeof u.in[g]); u.nin[g]=0;
        for(int c=0;c<O.C;c++) if(s.cst[c]==CSTORING&&s.gw[(int)s.cs[c]]==g) finish(u,c,CGONE);
        emit("FAULT g"+N(g)+" cut off",u,false,0);} 
      if(O.crash){ St u=s; u.nf++; u.gst[g]=GCRASH; for(int x=0;x<s.nd;x++) if(s.gw[x]==g){ u.open[x]=0;u.sub[x]=0;u.pd[x]=0; if(u.up[x]!=UKNOWN)u.up[x]=U0; if(u.cur==x)u.cur=-1; }
        for(int i=0;i<s.nin[g];i++) if(s.in[g][i][0]==1) finish(u,s.in[g][i][1],CSWALLOW); memset(u.in[g],0,sizeof u.in[g]); u.nin[g]=0;
        for(int c=0;c<O.C;c++) if((s.cst[c]==CSTORING||s.cst[c]==CSTORED||s.cst[c]==CHELD)&&s.gw[(int)s.cs[c]]==g) finish(u,c,CSWALLOW);
        emit("FAULT g"+N(g)+" crashes",u,false,0);} }
    if(s.gst[g]==GFROZ){ St u=s; u.gst[g]=GOK; emit("g"+N(g)+" thaws",u,true,0);} 
    if(s.gst[g]==GPART){ St u=s; u.gst[g]=GOK; u.srvconn[g]=1; u.need[g]=s.nlog; /*reconnect*/ for(int x=0;x<s.nd;x++) if(s.gw[x]==g) u.srv[x]=0; emit("g"+N(g)+" reconnects to NATS",u,true,0);} 
    if((s.gst[g]==GPART||s.gst[g]==GCRASH)&&s.srvconn[g]){ St u=s; u.srvconn[g]=0; for(int x=0;x<s.nd;x++) if(s.gw[x]==g) u.srv[x]=0; emit("server drops connection of g"+N(g),u,true,0);} 
    // inbox
    if(s.gst[g]==GOK&&s.nin[g]){ for(int i=0;i<s.nin[g];i++){ if(O.fifo&&i) break; const i8*e=s.in[g][i]; St u=s; pop(u,g,i);
      if(e[0]==2){ int t=e[1],x=e[2]; bool did=s.open[t]; closeS(u,t,false); if(u.up[x]==UKICK) u.kdone[x]=1; emit("g"+N(g)+" handles kick: "+(did?"closes s":"already closed s")+N(t)+(did&&s.cur==t?" (THE LIVE SOCKET)":""),u,true,0); }
      else { int c=e[1],m=e[2]; u.cs[c]=m; if(!s.open[m]){ {const char*v=O.dgone&&s.cg[c]>=0&&s.cg[c]!=m?"D gone from an older session while S is up":0; finish(u,c,CGONE); emit("g"+N(g)+" answers c"+N(c)+": gone",u,true,v);}} 
        else if(O.hold&&s.up[m]!=UKNOWN){ u.cst[c]=CHELD; emit("g"+N(g)+" holds c"+N(c)+" (epoch of s"+N(m)+" unknown)",u,true,0);} 
        else { u.cst[c]=CSTORING; emit("g"+N(g)+" takes c"+N(c)+" for s"+N(m),u,true,0);} } } }
  }
  // commands
  for(int c=0;c<O.C;c++){
    if(s.cst[c]==CN){ if(c&&s.cst[c-1]==CN) continue; int l=lastUp(s); int guard=(l>=0&&s.cur==l&&s.open[l]&&s.gst[(int)s.gw[l]]==GOK&&s.nlog>s.need[(int)s.gw[l]])?l:-1; bool any=false;
      for(int m=0;m<s.nd;m++) if(s.srv[m]){ any=true; St u=s; int g=s.gw[m]; u.cs[c]=m; u.cg[c]=guard; string t="commander sends c"+N(c)+(guard>=0?" (has seen up(s"+N(guard)+"))":"")+" -> s"+N(m)+"@g"+N(g);
          if(s.gst[g]==GPART||s.gst[g]==GCRASH){ finish(u,c,CSWALLOW); emit(t+" (swallowed)",u,false,O.swallow&&guard>=0?"I1c swallowed":0);} 
          else if(push(u,g,1,c,m)){ u.cst[c]=CINBOX; emit(t,u,false,(O.swallow&&guard>=0&&s.gst[g]==GFROZ)?"I1c: frozen gateway holds it":0);} }
      if(!any){ St u=s; finish(u,c,CNORESP); emit("commander sends c"+N(c)+(guard>=0?" (has seen up(s"+N(guard)+"))":"")+": no responders",u,false,O.i1nr&&guard>=0?"I1a no responders while up":0);} }
    if(s.cst[c]==CHELD){ int m=s.cs[c]; int g=s.gw[m]; if(s.gst[g]==GOK||s.gst[g]==GPART){ St u=s; if(!s.open[m]){ finish(u,c,CGONE); emit("c"+N(c)+": gone",u,true,0);} else if(s.up[m]==UKNOWN){ u.cst[c]=CSTORING; emit("c"+N(c)+" released",u,true,0);} } }
    if(s.cst[c]==CSTORING){ int m=s.cs[c],g=s.gw[m]; if(s.gst[g]==GOK||s.gst[g]==GFROZ){ St u=s; u.fok[c]=(lastUp(s)==m); int dup=-1; u.att[c]=1;
        if(O.sameid) for(int d=0;d<O.C;d++) if(d!=c&&s.att[d]) { if(s.cst[d]==CGONE){ if(s.att[d]>=u.att[c]) u.att[c]=s.att[d]+1; } }
        if(O.sameid) for(int d=0;d<O.C;d++) if(d!=c&&s.att[d]>=u.att[c]&&s.cst[d]!=CGONE&&s.cst[d]!=CN) dup=d;
        if(dup>=0){ u.att[c]=0; finish(u,c,CREC); emit("c"+N(c)+": fact is a duplicate: recorded outcome or lost",u,true,0);} 
        else { u.cst[c]=CSTORED; emit("fact of c"+N(c)+" stored (by s"+N(m)+")",u,true,0);} } }
    if(s.cst[c]==CSTORED){ int m=s.cs[c],g=s.gw[m]; if(s.gst[g]==GOK){ St u=s;
        if(!s.open[m]){ finish(u,c,CGONE); emit("c"+N(c)+": gone",u,true,s.wr[c]?"I6":0);} 
        else if(O.fence&&!s.fok[c]){ if(lastUp(s)>=0&&lastUp(s)!=m&&s.gw[lastUp(s)]!=g) closeS(u,m,true); {const char*v=O.dgone&&s.cg[c]>=0&&s.cg[c]!=m?"D gone from an older session while S is up":0; finish(u,c,CGONE); emit("c"+N(c)+": fence says no: gone",u,true,v);}} 
        else { u.wr[c]=1; const char*v=0; if(O.i1b&&s.cg[c]>=0&&s.cg[c]!=m) v= s.kdone[(int)s.cg[c]]==2?"I1b-k CALL to an older socket although the kick was answered": s.kdone[(int)s.cg[c]]==3?"I1b-t CALL to an older socket after the kick timed out":"I1b CALL written to an older socket while S is up"; if(O.sameid){int t=0; for(int d=0;d<O.C;d++) t+=u.wr[d]; if(t>1) v="I2 CALL twice under one id";}
          string l="CALL of c"+N(c)+" written to socket of s"+N(m)+(s.cur==m?"":" (DEAD: lost/timeout)"); finish(u,c,CSENT); emit(l,u,true,v);} } }
  }
}
static const char* terminal(const St&s){
  bool okg=false; for(int g=0;g<O.G;g++) if(s.gst[g]==GOK) okg=true; if(!okg) return 0; if(s.nlog>=ML-1) return 0;
  for(int x=0;x<s.nd;x++) if(s.srv[x]&&(!s.open[x]||s.cur!=x)) return "T1 I4 stays subscribed forever";
  int l=lastUp(s);
  if(s.cur>=0){ if(!s.srv[(int)s.cur]) return "T4 I3 live session is not subscribed"; if(l!=s.cur) return "T2 I3 OCPP_LINKS does not name the live session"; }
  else if(l>=0){ int g=s.gw[l]; if(s.gst[g]==GOK) return "T3 I3 ghost up: nobody holds it, gateway lives"; bool other=false; for(int h=0;h<O.G;h++) if(h!=g&&s.gst[h]==GOK) other=true; if(other) return "T3b ghost up of a dead gateway"; }
  return 0;
}
int main(int argc,char**argv){
  map<string,int*> m={{"G",&O.G},{"S",&O.S},{"C",&O.C},{"F",&O.F},{"subfirst",&O.subfirst},{"kick",&O.kick},{"cond",&O.cond},{"reclaim",&O.reclaim},{"fence",&O.fence},{"hold",&O.hold},{"fix",&O.fix},{"resub",&O.resub},{"causal",&O.causal},{"sameid",&O.sameid},{"skip",&O.skip},{"swallow",&O.swallow},{"freeze",&O.freeze},{"part",&O.part},{"crash",&O.crash},{"acklost",&O.acklost},{"fifo",&O.fifo},{"i1nr",&O.i1nr},{"i1b",&O.i1b},{"term",&O.term},{"cyc",&O.cyc},{"all",&O.stopall},{"pubfifo",&O.pubfifo},{"live",&O.live},{"van",&O.van},{"self",&O.self},{"dgone",&O.dgone}};
  for(int i=1;i<argc;i++){ string a=argv[i]; auto p=a.find('='); if(p==string::npos)continue; string k=a.substr(0,p); if(k=="max") O.maxst=atol(a.c_str()+p+1); else if(m.count(k)) *m[k]=atoi(a.c_str()+p+1); else {printf("unknown %s\n",k.c_str());return 2;} }
  St z; memset(&z,0,sizeof z); z.cur=-1; for(int g=0;g<MG;g++) z.srvconn[g]=1; for(int c=0;c<MC;c++){z.cs[c]=-1;z.cg[c]=-1;} 
  vector<St> v; vector<uint32_t> par; unordered_map<uint64_t,vector<uint32_t>> dummy;
  struct HH{ vector<St>*v; size_t operator()(uint32_t i)const{return H()((*v)[i]);} }; struct EE{ vector<St>*v; bool operator()(uint32_t a,uint32_t b)const{return !memcmp(&(*v)[a],&(*v)[b],sizeof(St));} };
  unordered_map<uint32_t,char,HH,EE> seen(1<<20,HH{&v},EE{&v});
  v.push_back(z); par.push_back(0); seen.emplace(0,0);
  vector<pair<uint32_t,uint32_t>> edges; map<string,int> found; 
  auto trace=[&](uint32_t i,const string&last){ vector<uint32_t> p; for(uint32_t j=i;j;j=par[j]) p.push_back(j); p.push_back(0); reverse(p.begin(),p.end());
    for(size_t k=0;k+1<p.size();k++){ string lab="?"; St a=v[p[k]],b=v[p[k+1]]; succ(a,[&](const string&l,const St&u,bool,const char*){ if(!memcmp(&u,&b,sizeof u)) lab=l; }); printf("   %2zu %s\n",k+1,lab.c_str()); } if(last.size()) printf("   -- %s\n",last.c_str()); };
  uint32_t term=0; bool stop=false; 
  for(uint32_t i=0;i<v.size()&&!stop;i++){ bool sys=false; St cur=v[i];
    succ(cur,[&](const string&l,const St&u,bool sy,const char*viol){ if(stop) return; if(sy) sys=true;
      if(viol){ if(!found[viol]++){ printf("VIOLATION %s after %zu states:\n",viol,v.size()); trace(i,l); if(!O.stopall){stop=true;return;} } if(O.stopall) return; }
      v.push_back(u); uint32_t n=v.size()-1; auto r=seen.emplace(n,0); uint32_t to; if(!r.second){ v.pop_back(); to=r.first->first; } else { par.push_back(i); to=n; }
      if(O.cyc&&sy) edges.push_back({i,to}); });
    if(!sys&&!stop){ term++; if(O.term){ const char*t=terminal(cur); if(t&&!found[t]++){ printf("VIOLATION %s after %zu states:\n",t,v.size()); trace(i,""); if(!O.stopall) stop=true; } } }
    if((long)v.size()>O.maxst){ printf("BOUND reached\n"); break; } }
  printf("states %zu, quiescent %u%s\n",v.size(),term,stop?" (stopped at first violation)":""); for(auto&f:found) printf("  %s: %d\n",f.first.c_str(),f.second);
  if(O.cyc&&!stop){ vector<uint32_t> deg(v.size()); for(auto&e:edges) if(e.first!=e.second) deg[e.second]++; sort(edges.begin(),edges.end()); vector<uint32_t> q; for(uint32_t i=0;i<v.size();i++) if(!deg[i]) q.push_back(i); size_t done=0; while(done<q.size()){ uint32_t x=q[done++]; auto it=lower_bound(edges.begin(),edges.end(),make_pair(x,0u)); for(;it!=edges.end()&&it->first==x;++it) if(it->first!=it->second&&!--deg[it->second]) q.push_back(it->second); } size_t self=0; for(auto&e:edges) self+=e.first==e.second; printf("system-action graph: %s (%zu edges, %zu self loops)\n",done==v.size()?"acyclic":"HAS CYCLES",edges.size(),self); }
}
